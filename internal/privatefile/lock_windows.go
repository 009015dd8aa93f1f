package privatefile

const lockFlags = 0
