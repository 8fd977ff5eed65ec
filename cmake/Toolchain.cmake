# Compiler flags, and the tools that make builds quick where they are installed.
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>) # lets ccache see inside a precompiled header
endif()
# A product is rounded before it is added to something, as PostgreSQL does it and whatever the optimizer: the same log gives the same bits.
add_compile_options(-ffp-contract=off)
add_compile_options(-pthread -march=${KAPPA_ARCH} -Wall -Wextra -Wpedantic -Werror -Wno-missing-field-initializers)
# g++ 12 reports these inside its own standard library when it inlines std::string and std::vector (GCC bugs 105329, 105562).
add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
                    $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow> $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds>
                    $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overread> $<$<CXX_COMPILER_ID:GNU>:-Wno-free-nonheap-object>)
# clang finds get_temporary_buffer in libstdc++'s own std::stable_sort.
add_compile_options($<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
if(KAPPA_SANITIZE)
  add_compile_options(-fsanitize=${KAPPA_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${KAPPA_SANITIZE})
  if(KAPPA_SANITIZE STREQUAL "thread")
    add_compile_options(-Wno-tsan)  # Boost.Asio's fences, which it does not see
  endif()
endif()
if(KAPPA_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
