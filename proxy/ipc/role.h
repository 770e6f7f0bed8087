/* SPDX-License-Identifier: ISC */
/* What every role but the master does first: be nobody, ignore signals, find
 * its channel. */
#ifndef IPC_ROLE_H
#define IPC_ROLE_H

/* Sanitizers need ptrace(2), which only a dumpable process lets happen. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define ROLE_SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROLE_SANITIZED 1
#endif
#ifndef ROLE_SANITIZED
#define ROLE_SANITIZED 0
#endif

/* The descriptor at which a role finds its channel to the master. */
#define ROLE_CHANNEL_FD 3

/*
 * Makes the process undumpable (not under sanitizers, which need ptrace), sets
 * no_new_privs, ignores HUP TERM INT USR1 USR2 PIPE, closes every descriptor
 * above ROLE_CHANNEL_FD. Exits with a message when fd 3 is no channel: a role
 * is started by the master only. `name` is for messages.
 */
void role_init(const char *name);

/*
 * What the kernel's scheduler is told, best effort. A prompt role asks for
 * short slices: since Linux 6.12 a wake-up of one interrupts whoever runs with
 * a longer slice, which would else keep the core for some milliseconds. A
 * patient one is 10 nicer than it was and, as SCHED_BATCH, interrupts nobody
 * when it wakes up.
 */
void role_be_prompt(void);
void role_be_patient(void);

/* The body of a HELLO; exits when the master is of another version. */
struct message;
struct hello;
void role_take_hello(const struct message *message, struct hello *out_hello);

/* Prints "name: text" to stderr and exits with status 1. */
_Noreturn void role_fatal(const char *text);

#endif
