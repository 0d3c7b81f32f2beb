dermlens_fuzz(http USES server CORPUS "${CMAKE_CURRENT_SOURCE_DIR}/corpus/http")
target_link_libraries(fuzz_http_replay PRIVATE boost_json)
