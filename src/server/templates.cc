// A small, logic-less template language; see the header for the rules.
#include "server/templates.h"

#include <algorithm>

namespace dermlens::server {
namespace {

constexpr int kMaxDepth = 8;

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void Values::set(std::string name, std::string text) {
  Value& value = values_[std::move(name)];
  value.truth = !text.empty();
  value.text = std::move(text);
}

void Values::set(std::string name, bool truth) { values_[std::move(name)].truth = truth; }

Values& Values::append(const std::string& name) {
  declare_list(name);
  return values_[name].list.emplace_back();
}

void Values::declare_list(const std::string& name) { values_[name].is_list = true; }

// The values in sight, innermost first.
struct Template::Scope {
  const Values& values;
  const Scope* outer;

  const Values::Value* find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer) {
      const auto found = scope->values.values_.find(name);
      if (found != scope->values.values_.end()) return &found->second;
    }
    return nullptr;
  }
};

Result<std::vector<Template::Piece>> Template::parse_pieces(std::string_view text, std::size_t& at,
                                                            std::string_view closing, int depth) {
  if (depth > kMaxDepth) return fail(Errc::malformed, "template nests too deep (", kMaxDepth, ")");
  std::vector<Piece> pieces;
  for (;;) {
    const std::size_t open = text.find("{{", at);
    if (open == std::string_view::npos) {
      if (!closing.empty())
        return fail(Errc::malformed, "template section '", closing, "' does not end");
      pieces.push_back({Piece::Kind::text, std::string(text.substr(at)), {}});
      at = text.size();
      return pieces;
    }
    const std::size_t close = text.find("}}", open);
    if (close == std::string_view::npos)
      return fail(Errc::malformed, "template braces do not close (at ", open, ")");
    pieces.push_back({Piece::Kind::text, std::string(text.substr(at, open - at)), {}});
    std::string_view name = text.substr(open + 2, close - open - 2);
    at = close + 2;
    const char sigil = name.empty() ? ' ' : name.front();
    if (sigil == '#' || sigil == '^' || sigil == '/') name.remove_prefix(1);
    if (!is_name(name))
      return fail(Errc::malformed, "template name '", name, "' is not one (at ", open, ")");
    if (sigil == '/') {
      if (name != closing)
        return fail(Errc::malformed, "template section '", closing, "' ends as '", name, "'");
      return pieces;
    }
    if (sigil != '#' && sigil != '^') {
      pieces.push_back({Piece::Kind::value, std::string(name), {}});
      continue;
    }
    TRY(auto inner, parse_pieces(text, at, name, depth + 1));
    pieces.push_back({sigil == '#' ? Piece::Kind::section : Piece::Kind::inverted,
                      std::string(name), std::move(inner)});
  }
}

Result<Template> Template::parse(std::string_view text) {
  Template parsed;
  std::size_t at = 0;
  TRY(parsed.pieces_, parse_pieces(text, at, {}, 0));
  return parsed;
}

// Hands every piece of text to `take`.
template <class Take>
void Template::render_pieces(const std::vector<Piece>& pieces, const Scope& scope,
                             const Take& take) {
  for (const Piece& piece : pieces) {
    if (piece.kind == Piece::Kind::text) {
      take(piece.text);
      continue;
    }
    const Values::Value* value = scope.find(piece.text);
    const bool holds = value != nullptr && (value->is_list ? !value->list.empty() : value->truth);
    if (piece.kind == Piece::Kind::value) {
      if (value != nullptr) take(escape_html(value->text));
    } else if (piece.kind == Piece::Kind::inverted) {
      if (!holds) render_pieces(piece.inner, scope, take);
    } else if (holds && value->is_list) {
      for (const Values& element : value->list)
        render_pieces(piece.inner, Scope{element, &scope}, take);
    } else if (holds) {
      render_pieces(piece.inner, scope, take);
    }
  }
}

std::string Template::render(const Values& values) const {
  std::string out;
  out.reserve(size(values));
  render_pieces(pieces_, Scope{values, nullptr}, [&out](std::string_view text) { out += text; });
  return out;
}

std::size_t Template::size(const Values& values) const {
  std::size_t size = 0;
  render_pieces(pieces_, Scope{values, nullptr},
                [&size](std::string_view text) { size += text.size(); });
  return size;
}

}  // namespace dermlens::server
