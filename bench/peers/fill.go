package main

const fillSmallKeys = 100_000
