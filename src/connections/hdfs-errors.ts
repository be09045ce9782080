import { MillraceError, reasonOf } from '../core/errors.ts'
import { HdfsError } from './hdfs-http.ts'

/** What went wrong, in our terms: what and where and what to do. */
export function explained(error: unknown, label: string): MillraceError {
  if (error instanceof MillraceError) return error
  const reason = reasonOf(error)
  const options = { cause: error }
  if (!(error instanceof HdfsError))
    return new MillraceError(
      'MLR_ERR_SERVER_UNREACHABLE',
      `HDFS does not answer at ${label}: ${reason || (error as { code?: string }).code} — is it running, is that the namenode's HTTP port (9870)?`,
      options,
    )
  switch (/\bInvalidToken\b/.test(reason) ? 'InvalidToken' : error.exception) {
    case 'FileNotFoundException':
      return missing(reason)
    case 'FileAlreadyExistsException':
      return new MillraceError('MLR_ERR_OUTPUT_WRITE', `${label}: ${reason}`, options)
    case 'AccessControlException':
    case 'SecurityException':
    case 'AuthorizationException':
      return new MillraceError('MLR_ERR_SERVER_LOGIN', `HDFS at ${label} does not allow it: ${reason}`, options)
    case 'AuthenticationException':
      return new MillraceError(
        'MLR_ERR_SERVER_LOGIN',
        `HDFS at ${label} refuses the login: ${reason} — where it has Kerberos, get a delegation token (hdfs fetchdt, or GETDELEGATIONTOKEN) and set MILLRACE_HDFS_TOKEN or MILLRACE_HDFS_TOKEN_FILE`,
        options,
      )
    case 'InvalidToken':
      return new MillraceError(
        'MLR_ERR_SERVER_LOGIN',
        `HDFS at ${label} refuses the delegation token: ${reason.replace(/^.*InvalidToken: /, '').slice(0, 120)} … — get another one: it ends after a day if nobody renews it`,
        options,
      )
    case 'SafeModeException':
      return new MillraceError(
        'MLR_ERR_SERVER_UNREACHABLE',
        `HDFS at ${label} is in safe mode, so nothing can be written: ${reason} — wait, or: hdfs dfsadmin -safemode leave`,
        options,
      )
    case 'DSQuotaExceededException':
    case 'NSQuotaExceededException':
      return new MillraceError('MLR_ERR_OUTPUT_WRITE', `HDFS at ${label} is full: ${reason}`, options)
    default:
      if (NO_DATANODE.test(reason))
        return new MillraceError(
          'MLR_ERR_SERVER_UNREACHABLE',
          `HDFS at ${label} has no datanode that takes data: ${reason} — are its datanodes running, are their disks full?`,
          options,
        )
      if (error.exception === '')
        return new MillraceError(
          'MLR_ERR_SERVER_UNREACHABLE',
          `what answers at ${label} is no namenode: ${reason} — HDFS is reached by the namenode's HTTP port (9870)`,
          options,
        )
      return new MillraceError('MLR_ERR_OUTPUT_WRITE', `HDFS at ${label}: ${reason}`, options)
  }
}

/** None is alive, has room, or is left of those that had begun to write. */
const NO_DATANODE = /Failed to find datanode|could only be written to 0 of|All datanodes .*are bad/

const PASSING_CODES = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ESOCKETTIMEDOUT', 'EAI_AGAIN'])
const PASSING_EXCEPTIONS = new Set([
  ...['RetriableException', 'SafeModeException', 'StandbyException', 'EOFException', 'SocketException'],
  ...[
    'ConnectException',
    'ShortWrite',
    'AlreadyBeingCreatedException',
    'RecoveryInProgressException',
    'LeaseExpiredException',
  ],
])

/** It may be done later. */
export function isPassing(error: unknown): boolean {
  if (error instanceof MillraceError) {
    const { cause } = error
    // Told already, and tried again by who can; what was given up stays so.
    return cause !== undefined && !(cause instanceof MillraceError) && isPassing(cause)
  }
  const { code, message = '' } = error as { code?: string; message?: string }
  if (code !== undefined && PASSING_CODES.has(code)) return true
  if (/^(aborted|socket hang up|Premature close)$/.test(message)) return true
  if (!(error instanceof HdfsError)) return false
  return (
    PASSING_EXCEPTIONS.has(error.exception) ||
    NO_DATANODE.test(message) ||
    /startup mode|still not started/.test(message)
  )
}

/** Which exception of the server lies behind an error of ours. */
export function exceptionOf(error: unknown): string | undefined {
  const { cause } = error as { cause?: unknown }
  return cause instanceof HdfsError ? cause.exception : undefined
}

/** The package drops the exception's class; the message tells it. */
export function classified(error: Error & { code?: string }, status = 0): Error {
  if (error.code !== undefined) return error
  const message = (error.message ?? '').split('\n')[0] ?? ''
  if (status === 401) return new HdfsError('AuthenticationException', 'it does not know who asks', status)
  const known: readonly (readonly [RegExp, string, number])[] = [
    [/File (?:.* )?does not exist|^File .* not found/i, 'FileNotFoundException', 404],
    [/safe mode/i, 'SafeModeException', 403],
    [/state standby/i, 'StandbyException', 403],
    [/startup mode|still not started/i, 'RetriableException', 403],
    [/Permission denied/i, 'AccessControlException', 403],
    [/already exists|is not a directory/i, 'FileAlreadyExistsException', 403],
  ]
  const found = known.find(([pattern]) => pattern.test(message))
  if (found !== undefined) return new HdfsError(found[1], message, found[2])
  // What the package says where there was no exception of Hadoop in the answer.
  return new HdfsError(/^(Unknown error|Invalid request path)/.test(message) ? '' : 'IOException', message, status)
}

export function missing(what: string): MillraceError {
  return new MillraceError('MLR_ERR_INPUT_MISSING', what)
}

/** What HttpFS can't do. */
export function cannotReplace(label: string, path: string): MillraceError {
  return new MillraceError(
    'MLR_ERR_OUTPUT_WRITE',
    `${label} can't replace ${path} by a rename, as HttpFS can't: use a namenode's own address, where datanodes can be reached`,
  )
}
