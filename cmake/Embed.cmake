# kappa_embed(LIBRARY file..): a library that holds the files as bytes. Code finds them through serve/http/embedded.h.
# As a script (cmake -DOUTPUT= -DFILES= -P Embed.cmake) it writes the source file.
if(CMAKE_SCRIPT_MODE_FILE)
  set(declarations "")
  set(entries "")
  set(index 0)
  foreach(file ${FILES})
    get_filename_component(name "${file}" NAME)
    file(READ "${file}" hex HEX)
    string(REGEX REPLACE "(................................................................)" "\\1\n" hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
    string(APPEND declarations "constexpr unsigned char kFile${index}[] = {\n${hex}};\n")
    string(APPEND entries "    {\"${name}\", {reinterpret_cast<const char*>(kFile${index}), sizeof kFile${index}}},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  file(WRITE "${OUTPUT}" "// Made by cmake/Embed.cmake.\n#include \"serve/http/embedded.h\"\n\nnamespace kappa::serve::http {\nnamespace {\n${declarations}"
       "const EmbeddedFile kFiles[] = {\n${entries}};\n}  // namespace\nstd::span<const EmbeddedFile> EmbeddedFiles() { return kFiles; }\n}  // namespace kappa::serve::http\n")
  return()
endif()

set(KAPPA_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")
function(kappa_embed library)
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${library}.cc")
  add_custom_command(OUTPUT "${output}"
    COMMAND ${CMAKE_COMMAND} "-DOUTPUT=${output}" "-DFILES=${ARGN}" -P "${KAPPA_EMBED_SCRIPT}"
    DEPENDS ${ARGN} "${KAPPA_EMBED_SCRIPT}" VERBATIM)
  add_library(${library} STATIC "${output}")
  target_include_directories(${library} PRIVATE "${CMAKE_SOURCE_DIR}/src")
endfunction()
