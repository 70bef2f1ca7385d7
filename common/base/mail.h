/* mail.h - what a mailbox carries (mailbox.h). Here apart from it, so that what can be sent need not know of loops. */
#ifndef CARILLON_BASE_MAIL_H
#define CARILLON_BASE_MAIL_H

/* Embedded in what is sent. deliver runs in the owner's thread and takes the mail over: frees it, keeps it or posts
 * it on. owner is the pointer that the mailbox was made with. */
struct mail {
    struct mail *next;
    void (*deliver)(struct mail *mail, void *owner);
};

#endif
