// Runs every *.test.mjs beside this file, one after the other, because they share two cores with the
// server they test. Exit code 77 where something they need is missing (CTest: skipped).
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { missing } from "./browser.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const lacking = missing();
if (lacking) {
  console.log(`skipped: ${lacking}`);
  process.exit(77);
}
const wanted = process.argv[2] ?? "";
const files = readdirSync(here).filter(
  (name) => name.endsWith(".test.mjs") && name.includes(wanted),
);
const run = spawnSync(
  process.execPath,
  ["--test", "--test-concurrency=1", ...files.map((name) => join(here, name))],
  { stdio: "inherit" },
);
process.exit(run.status ?? 1);
