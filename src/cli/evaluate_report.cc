#include "cli/evaluate_report.h"

#include <cstdio>
#include <sstream>

#include "diagnose/base64.h"

namespace dermlens::cli {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

void write_classes(std::ostream& out, const evaluate::Metrics& metrics,
                   const diagnose::Card& card) {
  out << "<table><tr><th>class<th>photos<th>precision<th>recall<th>F1";
  for (std::size_t c = 0; c < metrics.classes.size(); ++c) out << "<th>said " << c;
  for (std::size_t c = 0; c < metrics.classes.size(); ++c) {
    const evaluate::ClassMetrics& one = metrics.classes[c];
    out << "<tr><th>" << c << ' ' << escaped(card.labels[c].name("en")) << "<td>" << one.photos
        << "<td>" << thousandths(one.precision) << "<td>" << thousandths(one.recall) << "<td>"
        << thousandths(one.f1);
    for (std::size_t i = 0; i < metrics.confusion[c].size(); ++i)
      out << (i == c ? "<td class=right>" : "<td>") << metrics.confusion[c][i];
  }
  out << "</table>";
}

void write_pictures(std::ostream& out, const Evaluation& evaluation, const diagnose::Card& card) {
  for (const Evaluation::Picture& picture : evaluation.pictures) {
    const evaluate::Said& said = evaluation.answers[picture.answer];
    std::size_t top = 0;
    for (std::size_t c = 0; c < said.probabilities.size(); ++c)
      if (said.probabilities[c] > said.probabilities[top]) top = c;
    out << "<figure><img alt=\"\" src=\"data:image/png;base64," << diagnose::to_base64(picture.png)
        << "\"><figcaption>said " << escaped(card.labels[top].name("en")) << ' '
        << thousandths(said.probabilities[top]) << "<br>true "
        << (said.class_id ? escaped(card.labels[*said.class_id].name("en")) : "none of them")
        << "</figcaption></figure>";
  }
}

}  // namespace

std::string thousandths(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::string html_report(const Evaluation& evaluation, const diagnose::Card& card) {
  const evaluate::Metrics& metrics = evaluation.metrics;
  std::ostringstream out;
  out << "<!doctype html><html lang=en><meta charset=utf-8><title>Evaluation of "
      << escaped(card.name)
      << "</title><style>body{font:16px sans-serif;margin:2em}td,th{padding:.3em .7em;text-align:"
         "right}th:first-child{text-align:left}.right{font-weight:bold}figure{display:inline-block;"
         "margin:.5em;width:16em}img{width:100%}</style><h1>"
      << escaped(card.name) << "</h1><p>" << metrics.photos << " photos of known classes, "
      << metrics.unknown << " of others, " << evaluation.unreadable << " unreadable</p><p>accuracy "
      << thousandths(metrics.accuracy) << ", macro F1 " << thousandths(metrics.macro_f1)
      << ", top 3 " << thousandths(metrics.top3) << ", ECE " << thousandths(metrics.ece);
  if (metrics.gate_auroc) out << ", gate AUROC " << thousandths(*metrics.gate_auroc);
  out << "</p>";
  write_classes(out, metrics, card);
  write_pictures(out, evaluation, card);
  out << "</html>\n";
  return std::move(out).str();
}

}  // namespace dermlens::cli
