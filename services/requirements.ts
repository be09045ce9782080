import { execFileSync, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What a server needs of the machine: a program on the PATH or a library, and the Debian packages that bring it. */
export interface Requirement {
  readonly what: string
  readonly packages: readonly string[]
  readonly there: () => boolean
}

export const JAVA: Requirement = {
  what: 'Java 17 or newer (java)',
  packages: ['openjdk-17-jre-headless'],
  there: () => onPath('java'),
}
export const MAVEN: Requirement = { what: 'Maven (mvn)', packages: ['maven'], there: () => onPath('mvn') }
export const PIP: Requirement = {
  what: 'pip for Python 3',
  packages: ['python3-pip'],
  there: () => spawnSync('python3', ['-m', 'pip', '--version']).status === 0,
}
export const OPENSSL: Requirement = { what: 'openssl', packages: ['openssl'], there: () => onPath('openssl') }
export const CURL_LIBRARY: Requirement = {
  what: 'libcurl 4',
  packages: ['libcurl4'],
  there: () => /libcurl\.so\.4/.test(spawnSync('ldconfig', ['-p'], { encoding: 'utf8' }).stdout ?? ''),
}

/** What is missing, as one line that says how it comes; undefined where nothing is. */
export function missing(requirements: readonly Requirement[]): string | undefined {
  const lacking = requirements.filter(({ there }) => !there())
  if (lacking.length === 0) return undefined
  const packages = lacking.flatMap((requirement) => requirement.packages).join(' ')
  return `this machine has no ${lacking.map(({ what }) => what).join(', no ')}; on Debian and Ubuntu: sudo apt-get install -y ${packages}`
}

/** Installs what is missing where we may (as root, with apt-get); else an error with the one command. */
export function provide(requirements: readonly Requirement[], say: (line: string) => void): void {
  const lacking = missing(requirements)
  if (lacking === undefined) return
  if (process.getuid?.() !== 0 || !onPath('apt-get')) throw new Error(lacking)
  const packages = requirements.filter(({ there }) => !there()).flatMap((requirement) => requirement.packages)
  say(`installing ${packages.join(' ')} …`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args: string[]): void =>
    void execFileSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env })
  apt('update', '-qq')
  apt('install', '-y', '-qq', '--no-install-recommends', ...packages)
  const still = missing(requirements)
  if (still !== undefined) throw new Error(still)
}

function onPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
