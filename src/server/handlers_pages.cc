// Pages that stand for themselves: start, system, login; and the files behind them.
#include <algorithm>
#include <array>

#include "diagnose/json_text.h"
#include "server/errors.h"
#include "server/handlers.h"
#include "server/page_values.h"
#include "server/report.h"

namespace dermlens::server {

Values page_values(const App& app, const HttpRequest& request) {
  const std::string_view language = language_of(request);
  Values values;
  values.set("lang", std::string(language));
  values.set("vi", language == "vi");
  values.set("en", language == "en");
  values.set("version", DERMLENS_VERSION);
  values.set("model_name", app.models->default_name());
  values.set("gradcam_enabled", app.options.explain);
  values.set("history_enabled", app.history != nullptr);
  values.set("access_enabled", app.access->required());
  values.set("max_upload_mb", std::to_string(app.options.max_upload >> 20));
  values.set("max_pixels_mp", std::to_string(app.options.max_pixels / 1'000'000));
  values.set("disclaimer_error", std::string(disclaimer_sentence(language, 0)));
  values.set("disclaimer_clinical", std::string(disclaimer_sentence(language, 1)));
  return values;
}

void add_limits(Values& values, const App& app, const HttpRequest& request,
                std::string_view model_name) {
  // Whose limits the pages know by heart: those of the model that comes with dermlens.
  constexpr std::string_view kShipped = "skin7-b0";
  const auto model = app.models->peek(model_name);
  const std::string_view name = model != nullptr     ? std::string_view(model->card().name)
                                : model_name.empty() ? app.models->default_name()
                                                     : model_name;
  values.set("shipped", name == kShipped);
  values.declare_list("limits");
  if (model == nullptr) return;
  values.set("class_count", std::to_string(model->card().labels.size()));
  for (const diagnose::LocalizedText& limit : model->card().limits)
    values.append("limits").set("text", limit.in(language_of(request)));
}

Result<HttpResponse> page_response(App& app, const HttpRequest& request, std::string_view name,
                                   const Values& values) {
  HttpResponse response;
  TRY(const auto page, app.pages->find(name));
  if (const Bytes size = page->size(values); size > kSmallAnswer)
    TRY_VOID(app.make_room(response.hold, size));
  response.body = page->render(values);
  response.content_type = "text/html; charset=utf-8";
  if (const auto asked = request.parameter("lang"); asked && *asked == language_of(request))
    response.headers.emplace_back(
        "Set-Cookie", "lang=" + std::string(*asked) + "; Path=/; Max-Age=31536000; SameSite=Lax");
  return response;
}

std::string minute_of(std::time_t time) {
  std::tm utc{};
  gmtime_r(&time, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M", &utc);
  return text.data();
}

Result<HttpResponse> get_start_page(App& app, HttpRequest& request) {
  Values values = page_values(app, request);
  add_limits(values, app, request, {});
  return page_response(app, request, "page", values);
}

Result<HttpResponse> get_system_page(App& app, HttpRequest& request) {
  Values values = page_values(app, request);
  values.declare_list("memory");
  const auto report = memory_report(app);
  for (const auto& member : report.at("memory").as_object()) {
    Values& row = values.append("memory");
    row.set("name", std::string(member.key()));
    row.set("value", to_text(member.value()));
  }
  Values& limit = values.append("memory");
  limit.set("name", "limit_mb");
  limit.set("value", to_text(report.at("limit_mb")));
  return page_response(app, request, "system", values);
}

namespace {

// Where a login leads: a path of ours, nothing that a browser could take for another host. Browsers
// drop control characters and take a backslash for a slash.
std::string safe_next(std::string_view next) {
  const bool plain = std::none_of(next.begin(), next.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '\\';
  });
  const bool fine = plain && next.size() < 512 && next.starts_with('/') && !next.starts_with("//");
  return fine ? std::string(next) : "/";
}

Result<HttpResponse> login_page(App& app, const HttpRequest& request, std::string next,
                                std::string_view trouble) {
  Values values = page_values(app, request);
  values.set("next", std::move(next));
  if (!trouble.empty()) values.set(std::string(trouble), true);
  return page_response(app, request, "login", values);
}

std::string session_cookie(const HttpRequest& request, const std::string& value, long seconds) {
  std::string cookie = "dermlens_session=" + value +
                       "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(seconds);
  // Behind a proxy that speaks TLS; a plain connection would lose such a cookie.
  if (request.header("x-forwarded-proto") == "https") cookie += "; Secure";
  return cookie;
}

}  // namespace

Result<HttpResponse> get_login(App& app, HttpRequest& request) {
  return login_page(app, request, safe_next(request.parameter("next").value_or("/")), {});
}

Result<HttpResponse> post_login(App& app, HttpRequest& request) {
  // A form's body has the form of a query.
  TRY(const Target form, parse_target("/?" + std::string(request.body.text())));
  std::string token;
  std::string next = "/";
  for (const auto& [name, value] : form.query) {
    if (name == "token") token = value;
    if (name == "next") next = safe_next(value);
  }
  const auto session = app.access->login(token, request.peer);
  if (!session) {
    const bool throttled = session.error().code == Errc::busy;
    TRY(HttpResponse response,
        login_page(app, request, std::move(next), throttled ? "throttled" : "failed"));
    response.status = throttled ? 429 : 401;
    if (throttled) response.headers.emplace_back("Retry-After", "60");
    return response;
  }
  HttpResponse response = redirect(next);
  const auto life = std::chrono::duration_cast<std::chrono::seconds>(Access::kSessionLife).count();
  response.headers.emplace_back("Set-Cookie", session_cookie(request, *session, life));
  return response;
}

Result<HttpResponse> post_logout(App& app, HttpRequest& request) {
  app.access->logout(request.cookie("dermlens_session"));
  HttpResponse response = redirect("/");
  response.headers.emplace_back("Set-Cookie", session_cookie(request, "", 0));
  return response;
}

Result<HttpResponse> get_asset(App& app, HttpRequest& request) {
  // A file at the root (robots.txt) has no capture.
  const std::string path =
      request.captures.empty() ? request.path.substr(1) : request.captures.front();
  if (path.starts_with("templates/")) return fail(Errc::not_found, "no such file");
  TRY(Asset asset, app.assets->find(path));
  HttpResponse response;
  response.content_type = asset.type;
  response.headers.emplace_back("Cache-Control", "no-cache");
  if (!asset.etag.empty()) response.headers.emplace_back("ETag", asset.etag);
  if (!asset.etag.empty() &&
      request.header("if-none-match").find(asset.etag) != std::string_view::npos) {
    response.status = 304;
    return response;
  }
  response.view = asset.content;
  response.owner = std::move(asset.owner);
  if (!asset.gzip.empty()) {
    response.headers.emplace_back("Vary", "Accept-Encoding");
    if (request.accepts_gzip()) {
      response.headers.emplace_back("Content-Encoding", "gzip");
      response.view = asset.gzip;
    }
  }
  return response;
}

}  // namespace dermlens::server
