/* A module in front of another (SoftHSM2) that locks the user's PIN and the SO's after three wrong ones, counts calls of
   C_Login, can have a PIN pad, and fails on demand. What it remembers lies in the folder PIN_MODULE_STATE, so it outlives
   the process:

     logins   one line for each C_Login, written before the other module is asked: `user`, `context`, `so`, and `pad`
              behind it if no PIN was given
     hang     if it is there, C_Login waits until it is not; the login is counted before
     wrong    one octet for each wrong PIN since the last right one; so-wrong likewise for the SO's
     C_…      for the functions of `faulty`: what the next call of it does, and `calls` counts them all. A number is its
              answer, and nothing is done; `dies` ends the process before anything is done, `done` after it was done, and
              `hangs` waits for ever. A number of calls that go well before may stand behind it. It is taken away when it
              has come to that, but for one that ends with `!`.
     pad      if it is there, the token has CKF_PROTECTED_AUTHENTICATION_PATH, and C_Login without a PIN waits until
              somebody has typed: until `typed` is there, which is taken away. It holds the PIN, or the word `cancel`.

   No header is needed: the function list is a version and an array of pointers, and CK_ULONG is `unsigned long`. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OK = 0, GENERAL_ERROR = 5, ARGUMENTS_BAD = 7, FUNCTION_CANCELED = 0x50, PIN_INCORRECT = 0xA0, PIN_LOCKED = 0xA4 };
enum { COUNT_LOW = 0x10000, FINAL_TRY = 0x20000, LOCKED = 0x40000, PIN_PAD = 0x100, CONTEXT = 2, TRIES = 3 };
enum { INITIALIZED = 0x400, SO_COUNT_LOW = 0x100000, SO_FINAL_TRY = 0x200000, SO_LOCKED = 0x400000 };

typedef unsigned long rv;
struct list { unsigned char version[2]; void *function[68]; };
static struct list ours, *theirs;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static const char *in_state(const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", getenv("PIN_MODULE_STATE"), name);
  return path;
}
static long size_of(const char *name) {
  struct stat found;
  return stat(in_state(name), &found) ? -1 : (long)found.st_size;
}
static void append(const char *name, const char *text) {
  int file = open(in_state(name), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (file < 0 || write(file, text, strlen(text)) < 0) abort();
  close(file);
}
static int count(const char *name) { long size = size_of(name); return size < 0 ? 0 : (int)size; }
static int wrong(void) { return count("wrong"); }

/* Whether the next call of a function is to fail; `*after` is set if only when it was done. */
static int fails(const char *name, rv *answer, int *after) {
  char line[64] = "", word[32] = "", rest[8] = "", called[80];
  int left = 0;
  snprintf(called, sizeof called, "%s\n", name);
  append("calls", called);
  FILE *file = fopen(in_state(name), "r");
  if (!file) return 0;
  if (!fgets(line, sizeof line, file)) line[0] = 0;
  fclose(file);
  sscanf(line, "%31s %d %7s", word, &left, rest);
  if (left > 0) {
    file = fopen(in_state(name), "w");
    fprintf(file, "%s %d %s", word, left - 1, rest);
    fclose(file);
    return 0;
  }
  if (!strchr(line, '!')) unlink(in_state(name));
  *after = strncmp(word, "done", 4) == 0;
  if (strncmp(word, "dies", 4) == 0) _exit(9);
  if (strncmp(word, "hangs", 5) == 0) for (;;) pause();
  *answer = strtoul(word, NULL, 0);
  return 1;
}
#define FAULTY(place, name, parameters, ...)                                   \
  static rv faulty_##place parameters {                                        \
    rv answer = OK; int after = 0;                                             \
    if (fails(name, &answer, &after) && !after) return answer;                 \
    rv result = ((rv (*) parameters)theirs->function[place])(__VA_ARGS__);     \
    if (after) _exit(9);                                                       \
    return result;                                                             \
  }
typedef unsigned long ul;
FAULTY(10, "C_InitPIN", (ul session, void *pin, ul length), session, pin, length)
FAULTY(11, "C_SetPIN", (ul session, void *old, ul old_length, void *new, ul length), session, old, old_length, new, length)
FAULTY(20, "C_CreateObject", (ul session, void *template, ul count, ul *object), session, template, count, object)
FAULTY(22, "C_DestroyObject", (ul session, ul object), session, object)
FAULTY(26, "C_FindObjectsInit", (ul session, void *template, ul count), session, template, count)
FAULTY(59, "C_GenerateKeyPair", (ul session, void *mechanism, void *public, ul n, void *private, ul m, ul *a, ul *b), session,
       mechanism, public, n, private, m, a, b)

static rv get_token_info(unsigned long slot, void *info) {
  rv result = ((rv (*)(unsigned long, void *))theirs->function[6])(slot, info);
  unsigned long *flags = (unsigned long *)((char *)info + 96);
  if (result != OK) return result;
  *flags &= ~(unsigned long)(COUNT_LOW | FINAL_TRY | LOCKED);
  if (wrong() > 0) *flags |= COUNT_LOW;
  if (wrong() == TRIES - 1) *flags |= FINAL_TRY;
  if (wrong() >= TRIES) *flags |= LOCKED;
  if (size_of("pad") >= 0) *flags |= PIN_PAD;
  if (count("so-wrong") && *flags & INITIALIZED)
    *flags |= count("so-wrong") >= TRIES ? SO_LOCKED : SO_COUNT_LOW | (count("so-wrong") == TRIES - 1 ? SO_FINAL_TRY : 0);
  return result;
}

/* What a person typed: its length, or -1 for `cancel`. */
static long typed(char *pin, size_t room) {
  while (size_of("typed") <= 0) usleep(5000);
  FILE *file = fopen(in_state("typed"), "r");
  size_t size = file ? fread(pin, 1, room, file) : 0;
  if (file) fclose(file);
  unlink(in_state("typed"));
  return size == 6 && memcmp(pin, "cancel", 6) == 0 ? -1 : (long)size;
}

static rv login(unsigned long session, unsigned long user, void *pin, unsigned long length) {
  char entered[256], line[32];
  pthread_mutex_lock(&one_at_a_time);
  snprintf(line, sizeof line, "%s%s\n", user == CONTEXT ? "context" : user ? "user" : "so", pin ? "" : " pad");
  append("logins", line);
  while (size_of("hang") >= 0) usleep(5000);
  rv result = OK;
  if (!pin) {
    long size = size_of("pad") < 0 ? -2 : typed(entered, sizeof entered);
    if (size == -2) result = ARGUMENTS_BAD;
    if (size == -1) result = FUNCTION_CANCELED;
    pin = entered, length = size < 0 ? 0 : (unsigned long)size;
  }
  if (result == OK && count(user ? "wrong" : "so-wrong") >= TRIES) result = PIN_LOCKED;
  if (result == OK) {
    result = ((rv (*)(unsigned long, unsigned long, void *, unsigned long))theirs->function[18])(session, user, pin, length);
    if (result == PIN_INCORRECT) append(user ? "wrong" : "so-wrong", "x");
    if (result == OK) unlink(in_state(user ? "wrong" : "so-wrong"));
  }
  pthread_mutex_unlock(&one_at_a_time);
  return result;
}

static rv init_token(unsigned long slot, void *pin, unsigned long length, void *label) {
  rv answer = OK;
  int after = 0;
  if (fails("C_InitToken", &answer, &after) && !after) return answer;
  if (count("so-wrong") >= TRIES) return PIN_LOCKED;
  rv result = ((rv (*)(ul, void *, ul, void *))theirs->function[9])(slot, pin, length, label);
  if (result == PIN_INCORRECT) append("so-wrong", "x");
  if (result == OK) unlink(in_state("so-wrong"));
  if (after) _exit(9);
  return result;
}

rv C_GetFunctionList(struct list **list) {
  void *library = getenv("PIN_MODULE_STATE") ? dlopen(getenv("PIN_MODULE_BEHIND"), RTLD_NOW) : NULL;
  rv (*get)(struct list **) = library ? (rv (*)(struct list **))dlsym(library, "C_GetFunctionList") : NULL;
  if (!get || get(&theirs)) return GENERAL_ERROR;
  ours = *theirs;
  ours.function[6] = get_token_info;
  ours.function[9] = init_token;
  ours.function[10] = faulty_10;
  ours.function[11] = faulty_11;
  ours.function[18] = login;
  ours.function[20] = faulty_20;
  ours.function[22] = faulty_22;
  ours.function[26] = faulty_26;
  ours.function[59] = faulty_59;
  *list = &ours;
  return OK;
}
