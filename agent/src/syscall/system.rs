//! Calls on the kernel and the node. Numbers are those of libc 0.2.191 and, where it has none, of Linux 6.18; columns as in
//! [`super::row::calls`].

use super::row::{Call, Family, calls, file, plain};

calls! { SYSTEM, System;
    init_module        175      [128]   _ 105      [128] => plain().text(2).critical();
    finit_module       313      [350]   _ 273      [379] => file(0).text(1).critical();
    delete_module      176      [129]   _ 106      [129] => plain().text(0).critical();
    bpf                321      [357]   _ 280      [386] => plain().text(1).text_len(2).critical();
    perf_event_open    298      [336]   _ 241      [364] => plain().pid(1).critical();
    kexec_load         246      [283] 528 104      [347] => plain().critical();
    kexec_file_load    320         []   _ 294      [401] => file(0).critical();
    reboot             169       [88]   _ 142       [88] => plain().critical();
    io_uring_setup     425      [425]   _ 425      [425] => plain();
    io_uring_register  427      [427]   _ 427      [427] => plain();
    iopl               172      [110]   _   _         [] => plain().critical();
    ioperm             173      [101]   _   _         [] => plain().critical();
    sethostname        170       [74]   _ 161       [74] => plain().text(0).text_len(1);
    setdomainname      171      [121]   _ 162      [121] => plain().text(0).text_len(1);
    settimeofday       164       [79]   _ 170       [79] => plain().critical();
    clock_settime      227      [264]   _ 112      [262] => plain().critical();
}
