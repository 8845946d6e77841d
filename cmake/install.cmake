# cmake --install build --prefix X: the program, the two libraries, the headers and a CMake package for find_package(longview).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/longview)
set_target_properties(longview_program PROPERTIES INSTALL_RPATH "${LONGVIEW_TORCH_RPATH}")
install(TARGETS longview longview_core EXPORT longviewTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS longview_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY longview DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT longviewTargets NAMESPACE longview:: DESTINATION ${package})
configure_package_config_file(cmake/longviewConfig.cmake.in ${CMAKE_BINARY_DIR}/longviewConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/longviewConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/longviewConfig.cmake ${CMAKE_BINARY_DIR}/longviewConfigVersion.cmake cmake/torch.cmake
  DESTINATION ${package})
