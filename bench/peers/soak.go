package main

import "time"

const soakLeast = 15 * time.Second
