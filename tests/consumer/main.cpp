// A user of the installed library: headers, libraries and the CMake package are all that it sees.
#include <cstdio>

#include "longview/base/fields.h"

int main() {
  const longview::Setting setting = longview::parse_setting("yarn:factor=4,original=8192");
  std::printf("%s with factor %s\n", setting.name.c_str(), setting.values.at("factor").c_str());
  return setting.name == "yarn" ? 0 : 1;
}
