// dermlens: sets the process up, then hands over to the commands.
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "cli/application.h"
#include "cli/commands.h"
#include "cli/threads.h"
#include "memory/process.h"

// Without memory for the commands' own names there is nothing left to say.
// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  using namespace dermlens;
  pin_allocator();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error to report, not an end
  cli::settle_thread_waiting(argv);
  cli::Application application;
  cli::add_classify(application);
  cli::add_explain(application);
  cli::add_run(application);
  cli::add_grad(application);
  cli::add_inspect(application);
  cli::add_plan(application);
  cli::add_pack(application);
  cli::add_quantize(application);
  cli::add_evaluate(application);
  cli::add_serve(application);
  cli::add_bench(application);
  cli::add_selftest(application);
  return cli::run_application(application, argc, argv);
}
