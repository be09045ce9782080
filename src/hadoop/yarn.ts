import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hadoopUser } from '../connections/hadoop-user.ts'
import { MillraceError, reasonOf } from '../core/errors.ts'

const ANSWER_MS = 5000
const [HISTORY_TRIES, HISTORY_WAIT_MS] = [10, 500]

/** YARN's resource manager over its REST interface: for what the job's client does not say. */
export class Yarn {
  readonly #url: string

  constructor(url: string) {
    this.#url = url.replace(/\/$/, '')
  }

  /** By the environment's MILLRACE_YARN, else by HADOOP_CONF_DIR; undefined where neither tells. */
  static find(env: NodeJS.ProcessEnv = process.env): Yarn | undefined {
    if (env.MILLRACE_YARN !== undefined) return new Yarn(env.MILLRACE_YARN)
    if (env.HADOOP_CONF_DIR === undefined) return undefined
    try {
      const site = readFileSync(join(env.HADOOP_CONF_DIR, 'yarn-site.xml'), 'utf8')
      const property = (name: string): string | undefined =>
        new RegExp(`<name>\\s*${RegExp.escape(name)}\\s*</name>\\s*<value>\\s*([^<]*?)\\s*</value>`).exec(site)?.[1]
      const address = property('yarn.resourcemanager.webapp.address')
      const host = property('yarn.resourcemanager.hostname')
      if (address !== undefined && !address.includes('$')) return new Yarn(`http://${address}`)
      return host === undefined ? undefined : new Yarn(`http://${host}:8088`)
    } catch {
      return undefined
    }
  }

  /** That it answers, and has a node that works: before a client is started that would wait long for both. */
  async check(): Promise<void> {
    const { clusterMetrics } = await this.#get<{ clusterMetrics: { activeNodes: number; unhealthyNodes: number } }>(
      '/ws/v1/cluster/metrics',
    )
    if (clusterMetrics.activeNodes > 0) return
    const unhealthy =
      clusterMetrics.unhealthyNodes > 0 ? ` (${clusterMetrics.unhealthyNodes} unhealthy: disks full?)` : ''
    throw new MillraceError(
      'MLR_ERR_SERVER_UNREACHABLE',
      `YARN at ${this.#url} has no node that works${unhealthy}, so the job would wait for ever — is a node manager running?`,
    )
  }

  /** Why an application has not begun, while it has not. */
  async waitsFor(application: string): Promise<string | undefined> {
    try {
      const { app } = await this.#get<{ app: { state: string; diagnostics: string } }>(
        `/ws/v1/cluster/apps/${application}`,
      )
      if (!['NEW', 'NEW_SAVING', 'SUBMITTED', 'ACCEPTED'].includes(app.state)) return undefined
      return app.diagnostics.replace(/\s+/g, ' ').trim() || app.state
    } catch {
      return undefined
    }
  }

  async kill(application: string): Promise<void> {
    const response = await fetch(`${this.#url}/ws/v1/cluster/apps/${application}/state?user.name=${hadoopUser()}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"state":"KILLED"}',
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
  }

  /** What a task attempt wrote to its standard error, asked while its job runs; undefined where that can't be had. */
  async stderrOf(application: string, attempt: string): Promise<string | undefined> {
    try {
      const job = application.replace(/^application_/, 'job_')
      const task = attempt.replace(/^attempt_/, 'task_').replace(/_\d+$/, '')
      const { taskAttempt } = await this.#get<{ taskAttempt: TaskAttempt }>(
        `/proxy/${application}/ws/v1/mapreduce/jobs/${job}/tasks/${task}/attempts/${attempt}`,
      )
      return await stderrIn(taskAttempt)
    } catch {
      return undefined
    }
  }

  /** The same of a failed task, when its job has ended and the history server has it. */
  async stderrOfTask(application: string, task: string): Promise<string | undefined> {
    const job = application.replace(/^application_/, 'job_')
    for (let tries = 0; tries < HISTORY_TRIES; tries++) {
      try {
        const tracking = await fetch(`${this.#url}/proxy/${application}/`, {
          redirect: 'manual',
          signal: AbortSignal.timeout(ANSWER_MS),
        })
        const history = new URL(tracking.headers.get('location') ?? '').origin
        const response = await fetch(`${history}/ws/v1/history/mapreduce/jobs/${job}/tasks/${task}/attempts`, {
          headers: { accept: 'application/json' },
          signal: AbortSignal.timeout(ANSWER_MS),
        })
        const { taskAttempts } = (await response.json()) as {
          // One alone is no list.
          taskAttempts: { taskAttempt: TaskAttempt | readonly TaskAttempt[] }
        }
        const failed = [taskAttempts.taskAttempt].flat().find(({ state }) => state === 'FAILED')
        if (failed !== undefined) return await stderrIn(failed, history)
      } catch {
        // It takes the history server a moment to find a job.
      }
      await sleep(HISTORY_WAIT_MS)
    }
    return undefined
  }

  async #get<T>(path: string): Promise<T> {
    let response: Response
    try {
      response = await fetch(`${this.#url}${path}`, {
        headers: { accept: 'application/json' },
        signal: AbortSignal.timeout(ANSWER_MS),
      })
    } catch (error) {
      const { cause } = error as { cause?: unknown }
      throw new MillraceError(
        'MLR_ERR_SERVER_UNREACHABLE',
        `YARN's resource manager does not answer at ${this.#url}: ${reasonOf(cause ?? error)} — is it running, is that its HTTP port (8088)?`,
        { cause: error },
      )
    }
    if (!response.ok)
      throw new MillraceError('MLR_ERR_SERVER_UNREACHABLE', `YARN at ${this.#url} answered HTTP ${response.status}`)
    return (await response.json()) as T
  }
}

interface TaskAttempt {
  readonly state: string
  readonly assignedContainerId: string
  readonly nodeHttpAddress: string
  readonly diagnostics?: string
}

/** From the node that ran it; from the history server, if that has collected the logs. */
async function stderrIn(attempt: TaskAttempt, history?: string): Promise<string | undefined> {
  const { assignedContainerId, nodeHttpAddress } = attempt
  const urls = [
    `http://${nodeHttpAddress}/ws/v1/node/containerlogs/${assignedContainerId}/stderr`,
    ...(history === undefined ? [] : [`${history}/ws/v1/history/containerlogs/${assignedContainerId}/stderr`]),
  ]
  for (const url of urls) {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) }).catch(() => undefined)
    if (response?.ok !== true) continue
    const text = await response.text()
    const said = /LogContents:\n([\s\S]*?)(?:\n?End of LogType|$)/.exec(text)?.[1] ?? text
    if (said.trim() !== '') return said
  }
  // One that could not be started has said nothing.
  return attempt.diagnostics
}
