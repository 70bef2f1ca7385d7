/* epoch.h - names of epochs: a channel's offsets count from 1 in each. Any thread. */
#ifndef CARILLON_BROKER_EPOCH_H
#define CARILLON_BROKER_EPOCH_H

enum { EPOCH_NEW_LEN = 8 };

/* A random name of 40 bits: two epochs of one channel do not share it by accident. */
void epoch_new(char out[EPOCH_NEW_LEN + 1]);

#endif
