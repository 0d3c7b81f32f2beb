dermlens_fuzz(onnx USES onnx CORPUS "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/onnx")
