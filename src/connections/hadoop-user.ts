import { userInfo } from 'node:os'

/** Who Hadoop is told that we are. */
export function hadoopUser(): string {
  if (process.env.HADOOP_USER_NAME !== undefined) return process.env.HADOOP_USER_NAME
  try {
    return userInfo().username
  } catch {
    // A container may run as a number that has no name.
    return process.env.USER ?? 'millrace'
  }
}
