// SPDX-License-Identifier: Apache-2.0

// What the containers of a test run: it waits until it is told to end. With an argument it ends at once.

#include <signal.h>
#include <unistd.h>

static void end(int signal) {
    (void)signal;
    _exit(0);
}

int main(int count, char **arguments) {
    (void)arguments;
    if (count > 1) return 0;
    // The first process of a container is not ended by a signal that it does not handle.
    signal(SIGTERM, end);
    signal(SIGINT, end);
    for (;;) pause();
}
