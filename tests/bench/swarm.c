/* Many processes that run one command again and again, all at once; a line at the end: wall time in ns, how many
 * commands failed, the longest one in ns.
 *
 *   swarm PROCESSES TIMES COMMAND...    in an argument, % stands for the process, @ for the command, both from 1
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct result {
    int failed;
    long long longest;
};

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static char **filled(char **command, int process, int number) {
    static char *words[64], room[64][4096];
    int i = 0;
    for (; command[i] && i < 63; i++) {
        size_t end = 0;
        for (const char *c = command[i]; *c && end < sizeof room[i] - 16; c++)
            if (*c == '%' || *c == '@')
                end += (size_t)sprintf(room[i] + end, "%d", *c == '%' ? process : number);
            else
                room[i][end++] = *c;
        room[i][end] = 0;
        words[i] = room[i];
    }
    words[i] = NULL;
    return words;
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    int processes = atoi(argv[1]), times = atoi(argv[2]), report = fcntl(1, F_DUPFD_CLOEXEC, 3);
    struct result *results = mmap(NULL, (size_t)processes * sizeof *results, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    long long start = now();
    for (int process = 0; process < processes; process++) {
        if (fork() != 0)
            continue;
        for (int i = 0; i < times; i++) {
            char **words = filled(argv + 3, process + 1, process * times + i + 1);
            int status;
            long long before = now();
            pid_t child = vfork();
            if (child == 0) {
                execvp(words[0], words);
                _exit(127);
            }
            waitpid(child, &status, 0);
            long long took = now() - before;
            results[process].failed += status != 0;
            if (took > results[process].longest)
                results[process].longest = took;
        }
        _exit(0);
    }
    while (wait(NULL) > 0)
        ;
    long long end = now(), longest = 0;
    int failed = 0;
    for (int process = 0; process < processes; process++) {
        failed += results[process].failed;
        if (results[process].longest > longest)
            longest = results[process].longest;
    }
    dprintf(report, "%lld %d %lld\n", end - start, failed, longest);
    return 0;
}
