dermlens_fuzz(image USES image
  CORPUS "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/image" "${PROJECT_SOURCE_DIR}/tests/golden/image")
