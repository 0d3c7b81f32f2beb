dermlens_fuzz(onnx USES onnx grad CORPUS "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/onnx")
