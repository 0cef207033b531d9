/* Runs commands in turn, many times, and prints a line for each run: which, wall time in ns, CPU time in us, page
 * faults, peak of memory in kB, exit status.
 *
 *   stopwatch FIRST LAST COMMAND [-- COMMAND]...    in an argument, @ stands for the round, FIRST to LAST;
 *                                                   command n runs in the directory STOPWATCH_<n>
 *
 * Interleaved, so that what else the machine does falls on all of them alike. Output of the commands goes nowhere.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static long long us(struct timeval time) {
    return time.tv_sec * 1000000LL + time.tv_usec;
}

/* A copy of the command with the round's number in it, made before the clock runs. */
static char **filled(char **command, int round) {
    static char *words[64], room[64][4096];
    int i = 0;
    for (; command[i] && i < 63; i++) {
        char *at = strchr(command[i], '@');
        words[i] = command[i];
        if (at) {
            snprintf(room[i], sizeof room[i], "%.*s%d%s", (int)(at - command[i]), command[i], round, at + 1);
            words[i] = room[i];
        }
    }
    words[i] = NULL;
    return words;
}

static void run(int index, char **command, const char *directory) {
    struct rusage used;
    int status;
    long long start = now();
    pid_t child = vfork();
    if (child == 0) {
        if (directory && chdir(directory) != 0)
            _exit(126);
        execvp(command[0], command);
        _exit(127);
    }
    wait4(child, &status, 0, &used);
    long long end = now();
    fprintf(stderr, "%d %lld %lld %ld %ld %d\n", index, end - start, us(used.ru_utime) + us(used.ru_stime),
            used.ru_minflt + used.ru_majflt, used.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv) {
    char **commands[32], *directories[32];
    int count = 0;
    if (argc < 4)
        return 2;
    commands[count++] = &argv[3];
    for (int i = 3; i < argc && count < 32; i++)
        if (!strcmp(argv[i], "--")) {
            argv[i] = NULL;
            commands[count++] = &argv[i + 1];
        }
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "STOPWATCH_%d", i);
        directories[i] = getenv(name);
    }
    /* The numbers leave by a copy of stderr, which the commands do not have. */
    int report = fcntl(2, F_DUPFD_CLOEXEC, 3), null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    stderr = fdopen(report, "w");
    for (int round = atoi(argv[1]); round <= atoi(argv[2]); round++)
        for (int i = 0; i < count; i++)
            run(i, filled(commands[i], round), directories[i]);
    return 0;
}
