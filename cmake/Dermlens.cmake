# Targets of this project. dermlens_library(NAME SOURCES ... USES ... LINKS ...) makes the static
# library of one folder under src/; dermlens_test(NAME SOURCES ... USES ...) one GoogleTest binary.

add_library(dermlens_options INTERFACE)
target_include_directories(dermlens_options INTERFACE "${PROJECT_SOURCE_DIR}/src")
target_compile_options(dermlens_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-align -Wimplicit-fallthrough -Wextra-semi)
target_compile_definitions(dermlens_options INTERFACE DERMLENS_VERSION="${PROJECT_VERSION}")
if(DERMLENS_WERROR)
  target_compile_options(dermlens_options INTERFACE -Werror)
endif()
if(DERMLENS_VERIFY)
  target_compile_definitions(dermlens_options INTERFACE DERMLENS_VERIFY=1)
endif()
if(DERMLENS_SANITIZE)
  target_compile_options(dermlens_options INTERFACE -fsanitize=${DERMLENS_SANITIZE}
    -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(dermlens_options INTERFACE -fsanitize=${DERMLENS_SANITIZE})
endif()

function(dermlens_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LINKS" ${ARGN})
  add_library(dermlens_${name} STATIC ${ARG_SOURCES})
  list(TRANSFORM ARG_USES PREPEND dermlens_)
  target_link_libraries(dermlens_${name} PUBLIC dermlens_options ${ARG_USES} PRIVATE ${ARG_LINKS})
endfunction()

function(dermlens_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_USES PREPEND dermlens_)
  target_link_libraries(${name} PRIVATE dermlens_options ${ARG_USES} ${ARG_LINKS}
    GTest::gmock GTest::gtest_main)
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  # What is tested is optimised; the tests themselves had better compile fast.
  target_compile_options(${name} PRIVATE -O1)
  target_compile_definitions(${name} PRIVATE
    DERMLENS_SOURCE_DIR="${PROJECT_SOURCE_DIR}" DERMLENS_BINARY_DIR="${PROJECT_BINARY_DIR}")
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
endfunction()
