// The process that holds a pod's namespaces: it waits, and reaps what was left to it.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_signal(int number) {
  if (number != SIGCHLD) _exit(0);
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

int main(void) {
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  signal(SIGCHLD, on_signal);
  for (;;) pause();
}
