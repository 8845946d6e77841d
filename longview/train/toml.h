// A training's configuration file: TOML whose tables become settings, so that keys, help and messages come from the configs' field lists.
#pragma once

#include "longview/base/fields.h"

namespace longview {

/// Tables by name; a table that may come several times ([[data]]) has several settings, others one. A setting's name is the table's.
using Tables = std::map<std::string, std::vector<Setting>>;

/// Throws "[train] FILE:LINE: ..." on what is not TOML, on keys outside a table and on nested tables. `once` and `several` are the tables
/// that may come; another is an error that names the nearest.
Tables read_tables(std::string_view text, const std::string& where, const std::vector<std::string>& once,
                   const std::vector<std::string>& several);

/// Changes one value: "train.steps=100", "data.0.weight=2" (of the first [[data]]).
void override_value(Tables& tables, const std::string& assignment, const std::vector<std::string>& once,
                    const std::vector<std::string>& several);

/// The file that says the same.
std::string toml_text(const Tables& tables, const std::vector<std::string>& several);

}  // namespace longview
