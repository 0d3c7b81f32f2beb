// The history, for who started the server with --history: list, search, delete, CSV.
#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "diagnose/json_text.h"
#include "server/errors.h"
#include "server/handlers.h"
#include "server/page_values.h"

namespace dermlens::server {
namespace {

namespace json = boost::json;

constexpr std::int64_t kDay = 24 * 60 * 60;
constexpr std::size_t kPage = 50;
constexpr std::int64_t kMostCsvLines = 20'000;

Result<history::Store*> store_of(const App& app) {
  if (app.history == nullptr)
    return fail(Errc::not_found, "no history is kept here (start with --history FILE)");
  return app.history.get();
}

Result<std::size_t> count_parameter(const HttpRequest& request, std::string_view name,
                                    std::size_t otherwise) {
  const auto text = request.parameter(name);
  if (!text || text->empty()) return otherwise;
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size())
    return fail(Errc::usage, "parameter '", name, "' is not a number ('", text->substr(0, 40),
                "')");
  return value;
}

// class, from and to (days, both inclusive), limit and offset.
Result<history::Filter> read_filter(const HttpRequest& request) {
  history::Filter filter;
  if (const auto text = request.parameter("class"); text && !text->empty())
    filter.top_class = *text;
  if (const auto text = request.parameter("from"); text && !text->empty()) {
    TRY(filter.from, history::parse_date(*text));
  }
  if (const auto text = request.parameter("to"); text && !text->empty()) {
    TRY(const std::int64_t day, history::parse_date(*text));
    filter.before = day + kDay;
  }
  TRY(filter.limit, count_parameter(request, "limit", kPage));
  TRY(filter.offset, count_parameter(request, "offset", 0));
  filter.limit = std::clamp<std::size_t>(filter.limit, 1, history::kMaxList);
  return filter;
}

json::object to_json(const history::Record& record) {
  return {{"id", record.id},
          {"created", history::format_time(record.created)},
          {"model", {{"name", record.model_name}, {"version", record.model_version}}},
          {"class", record.top_class},
          {"probability", record.top_probability},
          {"patient",
           {{"age", record.note.age},
            {"gender", record.note.gender},
            {"symptom", record.note.symptom},
            {"illness_history", record.note.illness_history},
            {"drug_history", record.note.drug_history}}}};
}

std::string query_of(const HttpRequest& request) {
  std::string query;
  for (const char* name : {"class", "from", "to"})
    if (const auto text = request.parameter(name); text && !text->empty())
      query +=
          (query.empty() ? "?" : "&") + std::string(name) + "=" + percent_encoded(*text, "-_.");
  return query;
}

void add_rows(Values& values, const std::vector<history::Record>& records) {
  values.declare_list("rows");
  for (const history::Record& record : records) {
    Values& row = values.append("rows");
    std::array<char, 32> percent{};
    std::snprintf(percent.data(), percent.size(), "%.2f", record.top_probability * 100);
    row.set("id", record.id);
    row.set("created", minute_of(record.created));
    row.set("class", record.top_class);
    row.set("key", record.top_class);
    row.set("percent", percent.data());
    row.set("model", record.model_name);
    row.set("age", record.note.age);
    row.set("gender", record.note.gender);
    row.set("symptom", record.note.symptom);
    row.set("illness_history", record.note.illness_history);
    row.set("drug_history", record.note.drug_history);
  }
}

// The rows of a list, and the room that they take and, until they are text, what is made of them.
struct Rows {
  std::vector<history::Record> records;
  Reservation hold;
};

Result<Rows> read_rows(App& app, history::Store& store, const history::Filter& filter) {
  // As JSON, a page's values or lines they are there once more, with a good deal around them.
  constexpr Bytes kCopies = 4;
  TRY(const Bytes bytes, store.weigh(filter));
  TRY(Reservation hold, app.ledger.reserve(Category::encode, bytes * kCopies));
  TRY(auto records, store.list(filter));
  return Rows{std::move(records), std::move(hold)};
}

}  // namespace

Result<HttpResponse> get_history(App& app, HttpRequest& request) {
  TRY(history::Store* const store, store_of(app));
  TRY(const history::Filter filter, read_filter(request));
  TRY(const std::int64_t total, store->count(filter));
  TRY(const Rows found, read_rows(app, *store, filter));
  json::array rows;
  for (const history::Record& record : found.records) rows.push_back(to_json(record));
  const json::object document{{"total", total},
                              {"offset", filter.offset},
                              {"limit", filter.limit},
                              {"results", std::move(rows)}};
  HttpResponse response;
  TRY_VOID(app.make_room(response.hold, text_bytes(document)));
  response.body = to_text(document);
  return response;
}

Result<HttpResponse> get_history_csv(App& app, HttpRequest& request) {
  TRY(history::Store* const store, store_of(app));
  TRY(history::Filter filter, read_filter(request));
  TRY(const std::int64_t total, store->count(filter));
  if (total > kMostCsvLines)
    return fail(Errc::usage, "these are too many results for one file (", total, ", ",
                kMostCsvLines, "): ask for fewer days with 'from' and 'to'");
  HttpResponse response;
  response.content_type = "text/csv; charset=utf-8";
  response.headers.emplace_back("Content-Disposition",
                                "attachment; filename=\"dermlens-history.csv\"");
  response.body = history::csv_header();
  filter.limit = history::kMaxList;
  for (filter.offset = 0;; filter.offset += history::kMaxList) {
    TRY(const Rows rows, read_rows(app, *store, filter));
    std::string lines;
    for (const history::Record& record : rows.records) lines += history::csv_line(record);
    const Bytes needed = (response.body.size() + lines.size()) * 2;
    TRY_VOID(app.make_room(response.hold, needed - std::min(needed, response.hold.bytes())));
    response.body += lines;
    if (rows.records.size() < history::kMaxList) return response;
  }
}

// ?older_than_days=N: deletes what is older.
Result<HttpResponse> delete_history(App& app, HttpRequest& request) {
  TRY(history::Store* const store, store_of(app));
  if (!request.parameter("older_than_days"))
    return fail(Errc::usage, "say older_than_days=N (0 deletes everything)");
  TRY(const std::size_t days, count_parameter(request, "older_than_days", 0));
  const std::int64_t now = std::time(nullptr) + (days == 0 ? 1 : 0);
  const auto span = static_cast<std::int64_t>(std::min<std::size_t>(days, 100'000)) * kDay;
  app.results.erase_before(now - span);
  TRY(const std::int64_t gone, store->erase_before(now - span));
  return json_response(json::object{{"deleted", gone}});
}

Result<HttpResponse> get_history_page(App& app, HttpRequest& request) {
  TRY(history::Store* const store, store_of(app));
  TRY(const history::Filter filter, read_filter(request));
  TRY(const std::int64_t total, store->count(filter));
  TRY(const Rows rows, read_rows(app, *store, filter));
  TRY(const auto classes, store->classes());
  Values values = page_values(app, request);
  add_rows(values, rows.records);
  values.declare_list("classes");
  for (const std::string& name : classes) {
    Values& row = values.append("classes");
    row.set("key", name);
    row.set("selected", filter.top_class == name);
  }
  const std::string query = query_of(request);
  values.set("filter_class", filter.top_class.value_or(""));
  values.set("filter_from", std::string(request.parameter("from").value_or("")));
  values.set("filter_to", std::string(request.parameter("to").value_or("")));
  values.set("total", std::to_string(total));
  values.set("csv_url", "/api/v1/history.csv" + query);
  const std::string at = "/history/" + query + (query.empty() ? "?" : "&") + "offset=";
  if (filter.offset > 0)
    values.set("previous_url",
               at + std::to_string(filter.offset - std::min(filter.offset, filter.limit)));
  if (static_cast<std::int64_t>(filter.offset + rows.records.size()) < total)
    values.set("next_url", at + std::to_string(filter.offset + rows.records.size()));
  return page_response(app, request, "history", values);
}

Result<HttpResponse> post_delete_history_page(App& app, HttpRequest& request) {
  TRY(history::Store* const store, store_of(app));
  if (!is_result_id(request.captures[0])) return fail(Errc::not_found, "no such result");
  app.results.erase(request.captures[0]);
  TRY(const bool gone, store->erase(request.captures[0]));
  if (!gone) return fail(Errc::not_found, "no such result");
  return redirect("/history/");
}

}  // namespace dermlens::server
