/* mail.h - a piece of mail, which a mailbox carries (mailbox.h). It has a header of its own, so that a struct that is
 * sent need not know of loops. */
#ifndef CARILLON_BASE_MAIL_H
#define CARILLON_BASE_MAIL_H

/* Embedded in the struct that is sent. deliver runs in the owner's thread and takes the mail over: it frees the mail,
 * keeps it or posts it on. owner is the pointer that the mailbox was made with. */
struct mail {
    struct mail *next;
    void (*deliver)(struct mail *mail, void *owner);
};

#endif
