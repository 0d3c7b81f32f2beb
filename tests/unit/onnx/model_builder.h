// Writes small ONNX models for tests, well-formed or not, field by field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <vector>

#include "onnx/reader.h"

namespace dermlens::onnx {

inline constexpr int kFloat = 1, kInt8 = 3, kInt32 = 6, kInt64 = 7, kFloat16 = 10;

using Strings = std::vector<std::string>;
using Dims = std::vector<std::int64_t>;  // -1: a dimension with a name only

// AttributeProto
std::string integer(const std::string& name, std::int64_t value);
std::string integers(const std::string& name, const Dims& values, bool packed = true);
std::string number(const std::string& name, float value);
std::string text(const std::string& name, const std::string& value);

// TensorProto
template <class T>
std::string raw_tensor(const std::string& name, int type, const Dims& dims,
                       const std::vector<T>& values) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  for (const std::int64_t dim : dims) writer.add_int64(1, dim);
  writer.add_int32(2, type);
  writer.add_string(8, name);
  writer.add_bytes(9, reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  return bytes;
}
std::string external_tensor(const std::string& name, const Dims& dims, const std::string& location,
                            const std::string& offset = "");

class ModelBuilder {
 public:
  explicit ModelBuilder(std::int64_t opset = 13) : opset_(opset) {}

  ModelBuilder& input(const std::string& name, const Dims& dims, int type = kFloat);
  ModelBuilder& output(const std::string& name);
  ModelBuilder& node(const std::string& op_type, const Strings& inputs, const Strings& outputs,
                     const std::vector<std::string>& attributes = {},
                     const std::string& domain = "");
  ModelBuilder& initializer(const std::string& tensor);
  ModelBuilder& floats(const std::string& name, const Dims& dims, const std::vector<float>& values);
  ModelBuilder& numbers(const std::string& name, const Dims& values);  // a vector of i64
  ModelBuilder& metadata(const std::string& key, const std::string& value);

  // The ModelProto.
  std::string bytes() const;
  Result<Model> read(const ReadOptions& options = {}) const;
  // Writes it to a file.
  void save(const std::string& path) const;

 private:
  std::int64_t opset_;
  std::string graph_, rest_;
};

Result<Model> read_string(const std::string& bytes, const ReadOptions& options = {});

// x -> Conv 3x3 with bias -> Relu -> GlobalAveragePool -> Flatten -> Gemm -> y
ModelBuilder tiny_network();

// What the reference evaluator makes of `x` as the first input: the first output.
std::vector<double> run(const Model& model, const std::vector<double>& x);

// A folder that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace dermlens::onnx
