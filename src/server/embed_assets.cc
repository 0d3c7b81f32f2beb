// A tool of the build: writes the files that web/files.txt lists as C++ arrays, with their gzip
// form and an ETag. Usage: embed_assets WEB_DIR FILES_TXT OUT.cc
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

std::string compressed(const std::string& content) {
  z_stream stream{};
  // 16 + window bits: a gzip header, without a time, so that builds are repeatable.
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 9,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    return {};
  std::string out(deflateBound(&stream, static_cast<uLong>(content.size())) + 32, '\0');
  std::string in = content;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(done ? stream.total_out : 0);
  deflateEnd(&stream);
  // What shrinks by less than a tenth is not worth a decompression.
  return out.size() * 10 < content.size() * 9 ? out : std::string();
}

// FNV-1a, 64 bits: tells versions of one file apart, nothing more.
std::string etag_of(const std::string& content) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : content) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  std::ostringstream text;
  text << "W/\\\"" << std::hex << hash << "\\\"";
  return text.str();
}

void write_array(std::ostream& out, const std::string& name, const std::string& content) {
  out << "constexpr unsigned char " << name << "[] = {";
  for (std::size_t i = 0; i < content.size(); ++i) {
    if (i % 32 == 0) out << '\n';
    out << static_cast<unsigned>(static_cast<unsigned char>(content[i])) << ',';
  }
  out << "0};\n";
}

std::string view_of(const std::string& name, std::size_t size) {
  if (size == 0) return "{}";
  return "{reinterpret_cast<const char*>(" + name + "), " + std::to_string(size) + "}";
}

std::vector<std::string> listed(const char* list) {
  std::vector<std::string> paths;
  std::ifstream file(list);
  for (std::string line; std::getline(file, line);) {
    line.erase(std::find(line.begin(), line.end(), '#'), line.end());
    while (!line.empty() && line.back() <= ' ') line.pop_back();
    if (!line.empty()) paths.push_back(line);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::ofstream out(argv[3]);
  out << "// Made by embed_assets from web/files.txt.\n#include <array>\n"
         "#include \"server/assets.h\"\nnamespace dermlens::server {\nnamespace {\n";
  std::ostringstream table;
  const std::vector<std::string> paths = listed(argv[2]);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    std::ifstream file(std::string(argv[1]) + "/" + paths[i], std::ios::binary);
    if (!file) {
      std::cerr << "embed_assets: no such file: " << paths[i] << "\n";
      return 1;
    }
    std::ostringstream text;
    text << file.rdbuf();
    const std::string content = text.str();
    const std::string gzip = compressed(content);
    const std::string number = std::to_string(i);
    write_array(out, "kContent" + number, content);
    if (!gzip.empty()) write_array(out, "kGzip" + number, gzip);
    table << "    EmbeddedFile{\"" << paths[i] << "\", "
          << view_of("kContent" + number, content.size()) << ", "
          << view_of("kGzip" + number, gzip.size()) << ", \"" << etag_of(content) << "\"},\n";
  }
  out << "}  // namespace\nstd::span<const EmbeddedFile> embedded_files() {\n"
         "  static const std::array<EmbeddedFile, "
      << paths.size() << "> kFiles{{\n"
      << table.str() << "  }};\n  return kFiles;\n}\n}  // namespace dermlens::server\n";
  return out.good() ? 0 : 1;
}
