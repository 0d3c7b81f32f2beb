# Everything comes from Debian 12's packages; nothing is downloaded here.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(OpenMP REQUIRED)
find_package(GTest REQUIRED)

find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(dnnl INTERFACE)
target_link_libraries(dnnl INTERFACE ${DNNL_LIBRARY} OpenMP::OpenMP_CXX)

pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)

find_path(PROTOZERO_INCLUDE protozero/pbf_reader.hpp REQUIRED)
find_path(EXPECTED_INCLUDE tl/expected.hpp REQUIRED)
find_path(BOOST_INCLUDE boost/version.hpp REQUIRED)
find_path(CLI11_INCLUDE CLI/CLI.hpp REQUIRED)

# The compiled parts of Boost, made here so that two headers' packages suffice. Link `boost_json` or
# `boost_url`; both bring Boost's include path.
foreach(part json url)
  add_library(boost_${part} STATIC "${CMAKE_CURRENT_LIST_DIR}/boost/${part}.cc")
  target_include_directories(boost_${part} SYSTEM PUBLIC "${BOOST_INCLUDE}")
  target_compile_definitions(boost_${part} PUBLIC
    BOOST_JSON_NO_LIB BOOST_URL_NO_LIB)
endforeach()
