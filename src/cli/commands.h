// Every command of the binary; each function is defined in the file of the command's name.
#pragma once

#include "cli/application.h"

namespace dermlens::cli {

void add_classify(Application& application);
void add_explain(Application& application);
void add_run(Application& application);
void add_grad(Application& application);
void add_inspect(Application& application);
void add_plan(Application& application);
void add_pack(Application& application);
void add_quantize(Application& application);
void add_evaluate(Application& application);
void add_serve(Application& application);
void add_bench(Application& application);
void add_selftest(Application& application);

}  // namespace dermlens::cli
