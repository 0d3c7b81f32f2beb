// The few server-rendered pages: template text in, HTML out. What works without JavaScript is
// made here; everything livelier is the page's own modules on top of the same HTML.
//
// Language of a template (files in web/templates/, listed in web/files.txt):
//   {{name}}              the value, HTML-escaped; nothing where the value is absent
//   {{#name}} ... {{/name}}  once where `name` is true or non-empty text; once an element where it
//                         is a list (the element's own names come first, then the outer ones)
//   {{^name}} ... {{/name}}  where `name` is absent, false, empty or an empty list
// There is no unescaped form, no include and no logic beyond that. Names are [a-z0-9_]. A template
// that does not balance is refused when the server starts.
//
// A strict Content-Security-Policy goes out with every page (default-src 'none'; script, style,
// img, connect, manifest, media, worker, form-action from 'self'; img and media also blob: and
// data:): no inline scripts, no inline styles, no style attributes in markup.
//
// Values that every template gets
//   lang                  "vi" or "en": ?lang=, else the cookie `lang`, else Accept-Language,
//                         else vi
//   vi, en                sections: exactly one of them is true
//   version               of dermlens
//   model_name            of the default model ("skin7-b0")
//   gradcam_enabled       section: heatmaps are on
//   history_enabled       section: started with --history
//   access_enabled        section: started with --api-token-file (show a link to /logout)
//   max_upload_mb, max_pixels_mp   integers
//   disclaimer_error      "the model errs, see a doctor", in `lang`
//   disclaimer_clinical   "a professional must verify by clinical means", in `lang`
//
// templates/page.html     GET /          the start page: a form, enctype multipart/form-data,
//                                        action /upload/file/, field `image` (and, where history
//                                        is on, the optional fields age, gender, symptom,
//                                        illness_history, drug_history)
//   limits[]  {text}      what must be said of the model (empty before it is loaded)
//
// templates/result.html   GET /result/<id>/
//   id, created           32 hex digits; "2025-01-31 14:05" in UTC
//   result_model_name, result_model_version
//   photo_url             /api/v1/results/<id>/photo.jpg; absent where no photo was kept
//   predictions[]         {class (display name in lang), key (the model's own spelling), class_id,
//                         percent "81.23", fraction "0.8123", top (section: the first one)}
//   top_class, top_percent
//   heatmap               section around:
//     overlay_url         /api/v1/results/<id>/overlay.png
//     heatmap_sentence    what a heatmap is and is not, one sentence in lang
//     degenerate          section: the heatmap says nothing, and the page must say so
//     method, layer, score, explained_class
//   unknown               section: the gate says that the photo is unlike what the model knows
//   warnings[]  {text}
//   limits[]    {text}
//   timing_queue, timing_decode, timing_forward, timing_backward, timing_render, timing_total
//                         milliseconds, "61.2"
//   planned_mb, peak_mb   "24.1"
//   json_url              /api/v1/results/<id>
//   delete_action         POST target of a form that deletes the result now: /result/<id>/delete
//
// templates/login.html    GET and POST /login (fields: token, next)
//   next                  where to go afterwards
//   failed                section: the token was wrong
//   throttled             section: too many attempts, wait a minute
//
// templates/system.html   GET /system/   the dashboard's shell; figures come by /memory/ and
//                                        /api/v1/events
//   memory[]  {name, value}              for readers without JavaScript: rss, peak, limit, ...
//
// templates/history.html  GET /history/  (only with --history)
//   rows[]  {id, created, class, key, percent, model, age, gender, symptom, illness_history,
//            drug_history}
//   classes[] {key, selected}   for the filter (GET form with class, from, to as YYYY-MM-DD)
//   filter_class, filter_from, filter_to
//   previous_url, next_url      sections that are URLs; absent at the ends
//   total                       number of results that match
//   csv_url                     the same filter as /api/v1/history.csv
//   deleting one: POST form to /history/<id>/delete
//
// templates/error.html    any page route that fails for a browser
//   status                "413"
//   code                  the error's code ("too_large", "memory_limit", ...)
//   message               the sentence of the error, in English
//   retry_after           seconds; absent where retrying is pointless
//
// Static files: every other file named in web/files.txt (one path relative to web/ a line, '#'
// starts a comment) is served at /assets/<path> with an ETag and gzip; robots.txt also at the
// root.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace dermlens::server {

// What a template is filled with: text, truth and lists of further values, by name.
class Values {
 public:
  void set(std::string name, std::string text);
  void set(std::string name, const char* text) { set(std::move(name), std::string(text)); }
  void set(std::string name, bool truth);
  // Appends an element to a list; the returned reference is valid until the next append.
  Values& append(const std::string& name);
  // Makes an empty list where there is none yet.
  void declare_list(const std::string& name);

 private:
  friend class Template;
  struct Value {
    std::string text;
    bool truth = false;
    bool is_list = false;
    std::vector<Values> list;
  };
  std::map<std::string, Value, std::less<>> values_;
};

// A parsed template; immutable, any thread.
class Template {
 public:
  // Fails with malformed, naming the place, where sections or braces do not balance.
  static Result<Template> parse(std::string_view text);

  std::string render(const Values& values) const;
  // How long that will be.
  std::size_t size(const Values& values) const;

 private:
  struct Piece {
    enum class Kind { text, value, section, inverted };
    Kind kind = Kind::text;
    std::string text;  // the text itself, or the name
    std::vector<Piece> inner;
  };
  struct Scope;
  static Result<std::vector<Piece>> parse_pieces(std::string_view text, std::size_t& at,
                                                 std::string_view closing, int depth);
  template <class Take>
  static void render_pieces(const std::vector<Piece>& pieces, const Scope& scope, const Take& take);

  std::vector<Piece> pieces_;
};

// & < > " ' as entities.
std::string escape_html(std::string_view text);

}  // namespace dermlens::server
