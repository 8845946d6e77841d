# The target torch_cpu: LibTorch from the Python wheel in LONGVIEW_TORCH, without find_package(Torch), which wants the whole CUDA
# toolkit. Used by the build and, installed, by longviewConfig.cmake.
if(NOT EXISTS "${LONGVIEW_TORCH}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "no torch in '${LONGVIEW_TORCH}'; './run setup' installs it, or give -DLONGVIEW_TORCH=FOLDER (site-packages/torch)")
endif()
cmake_path(GET LONGVIEW_TORCH PARENT_PATH LONGVIEW_SITE)
set(LONGVIEW_TORCH_RPATH ${LONGVIEW_TORCH}/lib ${LONGVIEW_SITE}/nvidia/cu13/lib)
add_library(torch_cpu INTERFACE IMPORTED GLOBAL)
set(LONGVIEW_TORCH_INCLUDES ${LONGVIEW_TORCH}/include ${LONGVIEW_TORCH}/include/torch/csrc/api/include)
target_include_directories(torch_cpu SYSTEM INTERFACE ${LONGVIEW_TORCH_INCLUDES})
target_compile_options(torch_cpu INTERFACE -fopenmp)
target_compile_definitions(torch_cpu INTERFACE FMT_HEADER_ONLY)  # torch's headers bring a newer {fmt} than Debian's library
target_link_libraries(torch_cpu INTERFACE ${LONGVIEW_TORCH}/lib/libtorch_cpu.so ${LONGVIEW_TORCH}/lib/libc10.so ${LONGVIEW_TORCH}/lib/libgomp.so.1)
target_link_options(torch_cpu INTERFACE -Wl,--allow-shlib-undefined -Wl,--as-needed -Wl,--disable-new-dtags)
foreach(folder ${LONGVIEW_TORCH_RPATH})
  target_link_options(torch_cpu INTERFACE -Wl,-rpath,${folder})
endforeach()
