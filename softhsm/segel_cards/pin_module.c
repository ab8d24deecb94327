/* A module in front of another (SoftHSM2) that locks the user's PIN after three wrong ones, counts calls of C_Login, and
   can have a PIN pad. What it remembers lies in the folder PIN_MODULE_STATE, so it outlives the process:

     logins   one line for each C_Login, written before the other module is asked: `user`, `context`, `so`, and `pad`
              behind it if no PIN was given
     hang     if it is there, C_Login waits until it is not; the login is counted before
     wrong    one octet for each wrong PIN since the last right one
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
static int wrong(void) { long size = size_of("wrong"); return size < 0 ? 0 : (int)size; }

static rv get_token_info(unsigned long slot, void *info) {
  rv result = ((rv (*)(unsigned long, void *))theirs->function[6])(slot, info);
  unsigned long *flags = (unsigned long *)((char *)info + 96);
  if (result != OK) return result;
  *flags &= ~(unsigned long)(COUNT_LOW | FINAL_TRY | LOCKED);
  if (wrong() > 0) *flags |= COUNT_LOW;
  if (wrong() == TRIES - 1) *flags |= FINAL_TRY;
  if (wrong() >= TRIES) *flags |= LOCKED;
  if (size_of("pad") >= 0) *flags |= PIN_PAD;
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
  if (result == OK && user && wrong() >= TRIES) result = PIN_LOCKED;
  if (result == OK) {
    result = ((rv (*)(unsigned long, unsigned long, void *, unsigned long))theirs->function[18])(session, user, pin, length);
    if (user && result == PIN_INCORRECT) append("wrong", "x");
    if (user && result == OK) unlink(in_state("wrong"));
  }
  pthread_mutex_unlock(&one_at_a_time);
  return result;
}

rv C_GetFunctionList(struct list **list) {
  void *library = getenv("PIN_MODULE_STATE") ? dlopen(getenv("PIN_MODULE_BEHIND"), RTLD_NOW) : NULL;
  rv (*get)(struct list **) = library ? (rv (*)(struct list **))dlsym(library, "C_GetFunctionList") : NULL;
  if (!get || get(&theirs)) return GENERAL_ERROR;
  ours = *theirs;
  ours.function[6] = get_token_info;
  ours.function[18] = login;
  *list = &ours;
  return OK;
}
