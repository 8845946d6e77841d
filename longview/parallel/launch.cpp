// The variables of two launchers.
#include "longview/parallel/launch.h"

#include <cstdlib>

#include "longview/base/fields.h"

namespace longview {
namespace {

int64_t number(const Variable& variable, const char* name, int64_t otherwise) {
  const std::string text = variable(name);
  return text.empty() ? otherwise : to_int("ranks", name, text);
}

/// A port that two trainings on one machine hardly share: mpirun's own name of the job decides.
int64_t port_of(const std::string& job) {
  if (job.empty()) return 29500;
  uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : job) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return 20000 + static_cast<int64_t>(hash % 10000);
}

}  // namespace

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Launch read_launch(const Variable& variable) {
  Launch out;
  if (!variable("RANK").empty() && !variable("WORLD_SIZE").empty()) {
    out.rank = number(variable, "RANK", 0), out.size = number(variable, "WORLD_SIZE", 1);
    out.local_rank = number(variable, "LOCAL_RANK", out.rank), out.local_size = number(variable, "LOCAL_WORLD_SIZE", out.size);
    out.has_store = variable("TORCHELASTIC_USE_AGENT_STORE") == "True";
    out.attempt = variable("TORCHELASTIC_RESTART_COUNT");
  } else if (!variable("OMPI_COMM_WORLD_SIZE").empty()) {
    out.rank = number(variable, "OMPI_COMM_WORLD_RANK", 0), out.size = number(variable, "OMPI_COMM_WORLD_SIZE", 1);
    out.local_rank = number(variable, "OMPI_COMM_WORLD_LOCAL_RANK", 0);
    out.local_size = number(variable, "OMPI_COMM_WORLD_LOCAL_SIZE", 1);
    out.port = port_of(variable("PMIX_NAMESPACE"));
    out.by_mpirun = !variable("PMIX_NAMESPACE").empty();
  }
  LV_CHECK(out.size >= 1 && out.rank >= 0 && out.rank < out.size, "[ranks] the environment says rank {} of {} processes", out.rank,
           out.size);
  LV_CHECK(out.local_rank >= 0 && out.local_rank < out.local_size, "[ranks] the environment says rank {} of {} on this machine",
           out.local_rank, out.local_size);
  if (const std::string address = variable("MASTER_ADDR"); !address.empty()) out.address = address;
  out.port = number(variable, "MASTER_PORT", out.port);
  LV_CHECK(out.port >= 1 && out.port < 65536, "[ranks] MASTER_PORT must be a port; got {}", out.port);
  return out;
}

}  // namespace longview
