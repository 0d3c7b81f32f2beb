// The builder's encoding.
#include "model_builder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "graph/reference.h"

namespace dermlens::onnx {
namespace {

std::string value_info(const std::string& name, const Dims& dims, int type) {
  std::string shape;
  protozero::pbf_writer shape_writer(shape);
  for (const std::int64_t dim : dims) {
    std::string dimension;
    protozero::pbf_writer writer(dimension);
    if (dim == -1)
      writer.add_string(2, "any");
    else
      writer.add_int64(1, dim);
    shape_writer.add_message(1, dimension);
  }
  std::string tensor;
  protozero::pbf_writer tensor_writer(tensor);
  tensor_writer.add_int32(1, type);
  tensor_writer.add_message(2, shape);
  std::string type_proto;
  protozero::pbf_writer(type_proto).add_message(1, tensor);
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_string(1, name);
  writer.add_message(2, type_proto);
  return bytes;
}

std::string entry(const std::string& key, const std::string& value) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_string(1, key);
  writer.add_string(2, value);
  return bytes;
}

}  // namespace

std::string integer(const std::string& name, std::int64_t value) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_string(1, name);
  writer.add_int64(3, value);
  writer.add_enum(20, 2);
  return bytes;
}

std::string integers(const std::string& name, const Dims& values, bool packed) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_string(1, name);
  if (packed)
    writer.add_packed_int64(8, values.begin(), values.end());
  else
    for (const std::int64_t value : values) writer.add_int64(8, value);
  writer.add_enum(20, 7);
  return bytes;
}

std::string number(const std::string& name, float value) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_string(1, name);
  writer.add_float(2, value);
  writer.add_enum(20, 1);
  return bytes;
}

std::string text(const std::string& name, const std::string& value) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_string(1, name);
  writer.add_bytes(4, value);
  writer.add_enum(20, 3);
  return bytes;
}

std::string external_tensor(const std::string& name, const Dims& dims, const std::string& location,
                            const std::string& offset) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  for (const std::int64_t dim : dims) writer.add_int64(1, dim);
  writer.add_int32(2, kFloat);
  writer.add_string(8, name);
  writer.add_message(13, entry("location", location));
  if (!offset.empty()) writer.add_message(13, entry("offset", offset));
  writer.add_enum(14, 1);
  return bytes;
}

ModelBuilder& ModelBuilder::input(const std::string& name, const Dims& dims, int type) {
  protozero::pbf_writer(graph_).add_message(11, value_info(name, dims, type));
  return *this;
}

ModelBuilder& ModelBuilder::output(const std::string& name) {
  protozero::pbf_writer(graph_).add_message(12, value_info(name, {}, kFloat));
  return *this;
}

ModelBuilder& ModelBuilder::node(const std::string& op_type, const Strings& inputs,
                                 const Strings& outputs, const std::vector<std::string>& attributes,
                                 const std::string& domain) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  for (const std::string& name : inputs) writer.add_string(1, name);
  for (const std::string& name : outputs) writer.add_string(2, name);
  writer.add_string(3, "node_" + (outputs.empty() ? op_type : outputs[0]));
  writer.add_string(4, op_type);
  for (const std::string& attribute : attributes) writer.add_message(5, attribute);
  if (!domain.empty()) writer.add_string(7, domain);
  protozero::pbf_writer(graph_).add_message(1, bytes);
  return *this;
}

ModelBuilder& ModelBuilder::initializer(const std::string& tensor) {
  protozero::pbf_writer(graph_).add_message(5, tensor);
  return *this;
}

ModelBuilder& ModelBuilder::floats(const std::string& name, const Dims& dims,
                                   const std::vector<float>& values) {
  return initializer(raw_tensor(name, kFloat, dims, values));
}

ModelBuilder& ModelBuilder::numbers(const std::string& name, const Dims& values) {
  return initializer(raw_tensor(name, kInt64, {std::ssize(values)}, values));
}

ModelBuilder& ModelBuilder::metadata(const std::string& key, const std::string& value) {
  protozero::pbf_writer(rest_).add_message(14, entry(key, value));
  return *this;
}

std::string ModelBuilder::bytes() const {
  std::string opset;
  protozero::pbf_writer opset_writer(opset);
  opset_writer.add_string(1, "");
  opset_writer.add_int64(2, opset_);
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_int64(1, 8);
  writer.add_string(2, "tests");
  writer.add_message(7, graph_);
  writer.add_message(8, opset);
  return bytes + rest_;
}

Result<Model> ModelBuilder::read(const ReadOptions& options) const {
  return read_string(bytes(), options);
}

void ModelBuilder::save(const std::string& path) const {
  std::ofstream(path, std::ios::binary) << bytes();
}

Result<Model> read_string(const std::string& bytes, const ReadOptions& options) {
  const auto owner = std::make_shared<const std::string>(bytes);
  return read_model_from_bytes(std::as_bytes(std::span(*owner)), owner, options);
}

ModelBuilder tiny_network() {
  ModelBuilder model;
  model.input("x", {1, 1, 4, 4})
      .floats("w", {2, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, -3, -4, -5, -6, -7, -8, -9})
      .floats("b", {2}, {0.5f, -0.5f})
      .floats("fc", {3, 2}, {1, 2, 3, 4, 5, 6})
      .floats("fb", {3}, {1, 2, 3})
      .node("Conv", {"x", "w", "b"}, {"c"},
            {integers("kernel_shape", {3, 3}), integers("pads", {1, 1, 1, 1}, false)})
      .node("Relu", {"c"}, {"r"})
      .node("GlobalAveragePool", {"r"}, {"p"})
      .node("Flatten", {"p"}, {"f"}, {integer("axis", 1)})
      .node("Gemm", {"f", "fc", "fb"}, {"y"}, {integer("transB", 1)})
      .output("y")
      .metadata("labels", "a,b,c");
  return model;
}

std::vector<double> run(const Model& model, const std::vector<double>& x) {
  const graph::Tensor input{model.graph.value(model.graph.inputs()[0].value).type, x, {}};
  const auto outputs = graph::evaluate(model.graph, {&input, 1}, model.graph.outputs());
  EXPECT_TRUE(outputs) << outputs.error().message;
  return outputs ? outputs->front().reals : std::vector<double>{};
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "onnxXXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace dermlens::onnx
