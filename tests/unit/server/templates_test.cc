#include "server/templates.h"

#include <gtest/gtest.h>

namespace dermlens::server {
namespace {

std::string render(std::string_view text, const Values& values) {
  const auto parsed = Template::parse(text);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  return parsed ? parsed->render(values) : "";
}

TEST(Templates, ValuesAreEscaped) {
  Values values;
  values.set("name", "<script>alert('1' & \"2\")</script>");
  EXPECT_EQ(render("a {{name}} b {{absent}}", values),
            "a &lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt; b ");
}

TEST(Templates, SectionsFollowTruthAndLists) {
  Values values;
  values.set("yes", true);
  values.set("no", false);
  values.set("text", "");
  for (const char* name : {"a", "b"}) values.append("list").set("item", name);
  values.declare_list("empty");
  EXPECT_EQ(render("{{#yes}}1{{/yes}}{{#no}}2{{/no}}{{^no}}3{{/no}}{{^text}}4{{/text}}", values),
            "134");
  EXPECT_EQ(render("{{#list}}[{{item}}]{{/list}}{{^empty}}none{{/empty}}", values), "[a][b]none");
}

TEST(Templates, InnerNamesHideOuterOnes) {
  Values values;
  values.set("x", "outer");
  values.append("list").set("x", "inner");
  values.append("list");
  EXPECT_EQ(render("{{#list}}{{x}} {{/list}}", values), "inner outer ");
}

TEST(Templates, WhatDoesNotBalanceIsRefused) {
  std::string deep;
  for (int i = 0; i < 20; ++i) deep += "{{#a}}";
  for (int i = 0; i < 20; ++i) deep += "{{/a}}";
  for (const std::string& text :
       {std::string("{{#a}}"), std::string("{{/a}}"), std::string("{{#a}}{{/b}}"),
        std::string("{{a"), std::string("{{}}"), std::string("{{A b}}"), deep})
    EXPECT_FALSE(Template::parse(text)) << text;
}

}  // namespace
}  // namespace dermlens::server
