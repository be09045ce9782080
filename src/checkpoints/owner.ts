import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Owner } from './checkpoint.ts'

/** This process as the owner of a task, under a name that is new for each start. */
export function newOwner(): Owner {
  return {
    name: randomUUID().slice(0, 13),
    host: hostname(),
    bootId: read('/proc/sys/kernel/random/boot_id'),
    pidNamespace: link('/proc/self/ns/pid'),
    pid: process.pid,
    started: startOf(process.pid) ?? '',
    released: false,
  }
}

/**
 * Whether the owner is certainly no more: it released the task, or it ran on this machine, in this namespace of processes, and its process
 * is gone (a process that has its number now has started at another time). False where that can't be known.
 */
export function isGone(owner: Owner): boolean {
  if (owner.released) return true
  const here = newOwner()
  const sameMachine =
    owner.host === here.host &&
    owner.bootId !== '' &&
    owner.bootId === here.bootId &&
    owner.pidNamespace === here.pidNamespace
  return sameMachine && startOf(owner.pid) !== owner.started
}

/** An owner as one word, for the names by which servers know their clients. */
export function ownerText({ host, bootId, pidNamespace, pid, started }: Owner): string {
  return [host, bootId, pidNamespace, pid, started].join('|')
}

/** Whether the owner of such a word is certainly no more. */
export function isGoneText(text: string): boolean {
  const [host = '', bootId = '', pidNamespace = '', pid = '', started = ''] = text.split('|')
  if (started === '') return false
  return isGone({ name: '', host, bootId, pidNamespace, pid: Number(pid), started, released: false })
}

export function describeOwner({ host, pid }: Owner): string {
  return `process ${pid} on ${host}`
}

/** When a process started, in ticks since the machine did; undefined where there is no such process. A zombie has ended. */
function startOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`)
  // The name in parentheses may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return stat === '' || fields[0] === 'Z' ? undefined : fields[19]
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
