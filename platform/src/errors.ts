/** Wrong with a job itself: another attempt would not help. Its message is for people. */
export class JobFailed extends Error {}
