// The page's files by themselves: two complete languages, one frame, nothing that the policy forbids.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

const web = fileURLToPath(new URL("../../../web", import.meta.url));
const read = (path) => readFileSync(join(web, path), "utf8");
const walk = (folder) =>
  readdirSync(join(web, folder)).flatMap((name) => {
    const path = folder ? `${folder}/${name}` : name;
    return statSync(join(web, path)).isDirectory() ? walk(path) : [path];
  });
const { english } = await import(join(web, "js/texts-en.js"));
const { vietnamese } = await import(join(web, "js/texts-vi.js"));

test("both languages have the same texts with the same places for values", () => {
  assert.deepEqual(Object.keys(english), Object.keys(vietnamese));
  const places = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();
  for (const key of Object.keys(english))
    assert.deepEqual(places(english[key]), places(vietnamese[key]), key);
});

test("every text that the page asks for exists, and every text is asked for", () => {
  const scripts =
    walk("js")
      .filter((path) => !path.includes("texts-"))
      .map(read)
      .join("\n") + walk("templates").map(read).join("\n");
  const built = [...scripts.matchAll(/`([a-z]+\.(?:[a-z]+\.)?)\$\{/g)].map((match) => match[1]);
  for (const [, key] of scripts.matchAll(/\bt\("([^"]+)"/g)) assert.ok(key in english, key);
  for (const key of Object.keys(english))
    assert.ok(
      scripts.includes(`"${key}"`) || built.some((start) => key.startsWith(start)),
      `nobody asks for ${key}`,
    );
});

test("files.txt names every file of the page and no other", () => {
  const named = read("files.txt")
    .split("\n")
    .filter((line) => line && !line.startsWith("#"));
  assert.deepEqual(
    named.sort(),
    walk("")
      .filter((path) => path !== "files.txt")
      .sort(),
  );
});

test("templates carry no inline script or style", () => {
  for (const path of walk("templates")) {
    assert.doesNotMatch(read(path), /\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)/, path);
    assert.doesNotMatch(read(path), /(?:src|href|action)="(?:https?:)?\/\//, path);
  }
});

test("all templates share one frame", () => {
  const frame = (path) =>
    read(path)
      .replace(/<title>.*<\/title>/, "")
      .replace(/ data-page="\w+"/, "")
      .replace(/ aria-current="page"/, "")
      .replace(/\s*<link rel="stylesheet" href="\/assets\/css\/(start|result|system)\.css">/g, "")
      .replace(/(<main id="main" tabindex="-1">)[^]*(<\/main>)/, "$1$2");
  const [first, ...rest] = walk("templates");
  for (const path of rest) assert.equal(frame(path), frame(first), path);
});

test("no file of the page is longer than 400 lines", () => {
  const written = walk("").filter((path) => /\.(css|js|html|svg)$/.test(path));
  for (const path of written) assert.ok(read(path).split("\n").length <= 401, path);
});
