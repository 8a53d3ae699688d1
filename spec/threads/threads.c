/*
 * Many threads, each with a Lua state and clients of its own, against one pair of servers.
 *
 *     threads ROUNDS DIRECTORY
 *
 * Eight threads open a state, work (work.lua) and close the state, ROUNDS times each: first with
 * csrc/ as it is compiled into this program, then with the module that is in DIRECTORY, which each
 * state loads and lua_close unloads. Then a process forks that has a client which was used: parent
 * and child go on. Data races are the sanitizer's to find, in which this is built.
 */
#define _POSIX_C_SOURCE 200809L

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "thucchien.h"

enum { THREADS = 8 };

/* What a thread is told, and whether all went well. */
struct job {
    const char *mirror, *emulator;
    const char *directory; /* of the module, or NULL for the one that is compiled in */
    int number, rounds;
    pthread_barrier_t *start; /* all begin at the same moment: what is done once, is done then */
    bool well;
};

static lua_State *open_state(const char *directory)
{
    lua_State *L = luaL_newstate();
    if (!L)
        return NULL;
    luaL_openlibs(L);
    if (!directory) {
        luaL_requiref(L, "thucchien", luaopen_thucchien, 0);
        lua_pop(L, 1);
        return L;
    }
    lua_getglobal(L, "package");
    lua_pushfstring(L, "%s/?.so;", directory);
    lua_getfield(L, -2, "cpath");
    lua_concat(L, 2);
    lua_setfield(L, -2, "cpath");
    lua_pop(L, 1);
    return L;
}

static bool complain(lua_State *L, int number)
{
    fprintf(stderr, "thread %d: %s\n", number, luaL_tolstring(L, -1, NULL));
    return false;
}

/* Pushes the table of functions that work.lua gives. */
static bool load_work(lua_State *L, int number)
{
    return luaL_dofile(L, "spec/threads/work.lua") ? complain(L, number) : true;
}

/* Calls one of them; the table is on top. */
static bool call(lua_State *L, const char *name, const struct job *job, int number)
{
    lua_getfield(L, -1, name);
    lua_pushstring(L, job->mirror);
    lua_pushstring(L, job->emulator);
    lua_pushinteger(L, number);
    return lua_pcall(L, 3, 0, 0) ? complain(L, job->number) : true;
}

static void *run(void *parameter)
{
    struct job *job = parameter;
    job->well = true;
    pthread_barrier_wait(job->start);
    for (int i = 0; i < job->rounds && job->well; i++) {
        lua_State *L = open_state(job->directory);
        job->well = L && load_work(L, job->number) && call(L, "work", job, job->number * 5 + i * 2);
        if (L)
            lua_close(L);
    }
    return NULL;
}

static bool run_threads(struct job job)
{
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    pthread_barrier_t start;
    bool well = true;
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = job;
        jobs[i].number = i;
        jobs[i].start = &start;
        if (pthread_create(&threads[i], NULL, run, &jobs[i])) {
            fprintf(stderr, "no thread\n");
            exit(1);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        well = well && jobs[i].well;
    }
    pthread_barrier_destroy(&start);
    return well;
}

/* The child's clients, its own and the one that came with it, may not harm the parent's. */
static bool run_fork(const struct job *job)
{
    lua_State *L = open_state(NULL);
    if (!L)
        return false;
    bool well = load_work(L, job->number) && call(L, "before_fork", job, 0);
    pid_t child = well ? fork() : -1;
    if (child == 0)
        _exit(call(L, "in_child", job, 0) ? 0 : 1);
    int status = 1;
    well = well && child > 0 && waitpid(child, &status, 0) == child && status == 0;
    well = well && call(L, "in_parent", job, 0);
    lua_close(L);
    return well;
}

/* The address of a server that spec/support/<name>.lua starts, which stays on the stack. */
static const char *start(lua_State *L, const char *name)
{
    lua_getglobal(L, "require");
    lua_pushfstring(L, "spec.support.%s", name);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "start");
    lua_call(L, 0, 1);
    lua_getfield(L, -1, "url");
    return lua_tostring(L, -1);
}

static int start_servers(lua_State *L)
{
    struct job *job = lua_touserdata(L, 1);
    job->mirror = start(L, "mirror");
    job->emulator = start(L, "emulator");
    return lua_gettop(L) - 1;
}

static bool report(int number, const char *name, bool well)
{
    printf("%s %d - %s\n", well ? "ok" : "not ok", number, name);
    (void)fflush(stdout);
    return well;
}

int main(int argc, char **argv)
{
    struct job job = {0};
    job.rounds = argc > 1 ? atoi(argv[1]) : 5;
    lua_State *L = open_state(NULL);
    if (!L)
        return 1;
    lua_pushcfunction(L, start_servers);
    lua_pushlightuserdata(L, &job);
    if (lua_pcall(L, 1, LUA_MULTRET, 0)) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        return 1;
    }
    bool well = report(1, "eight threads, compiled in", run_threads(job));
    if (argc > 2) {
        job.directory = argv[2];
        well = report(2, "eight threads that load and unload", run_threads(job)) && well;
    }
    well = report(3, "a fork", run_fork(&job)) && well;
    printf("1..3\n");
    lua_close(L);
    return well ? 0 : 1;
}
