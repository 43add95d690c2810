//! Calls that change what a task may do, and seccomp and namespaces with it. Numbers are those of libc 0.2.191 and, where it has none, of Linux 6.18; columns as in
//! [`super::row::calls`].

use super::row::{Call, Family, calls, credentials};

/// Options that change what a task may do, or how it may be looked at (include/uapi/linux/prctl.h):
/// `PR_SET_DUMPABLE`, `PR_SET_SECCOMP`, `PR_CAPBSET_DROP`, `PR_SET_SECUREBITS`, `PR_SET_MM`,
/// `PR_SET_NO_NEW_PRIVS`, `PR_CAP_AMBIENT`. The others, `PR_SET_NAME` before all, are called by
/// every thread.
const PRCTL_OPTIONS: [u32; 7] = [4, 22, 24, 28, 35, 38, 47];

calls! { CREDENTIALS, Credentials;
    setuid             105  [23, 213]   _ 146  [23, 213] => credentials();
    setgid             106  [46, 214]   _ 144  [46, 214] => credentials();
    setreuid           113  [70, 203]   _ 145  [70, 203] => credentials();
    setregid           114  [71, 204]   _ 143  [71, 204] => credentials();
    setgroups          116  [81, 206]   _ 159  [81, 206] => credentials();
    setresuid          117 [164, 208]   _ 147 [164, 208] => credentials();
    setresgid          119 [170, 210]   _ 149 [170, 210] => credentials();
    setfsuid           122 [138, 215]   _ 151 [138, 215] => credentials();
    setfsgid           123 [139, 216]   _ 152 [139, 216] => credentials();
    capset             126      [185]   _  91      [185] => credentials();
    prctl              157      [172]   _ 167      [172] => credentials().one_of(0, &PRCTL_OPTIONS);
    unshare            272      [310]   _  97      [337] => credentials();
    setns              308      [346]   _ 268      [375] => credentials();
    seccomp            317      [354]   _ 277      [383] => credentials();
}
