import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from './cache.ts'
import { JAVA, MAVEN, provide } from './requirements.ts'

/** Jars that a server runs from. */
export interface Jars {
  /** Their folder in the cache. */
  readonly name: string
  /** For people: what and how much. */
  readonly what: string
  /** `group:artifact:version`; what they need comes with them. */
  readonly artifacts: readonly string[]
  /** Artifacts that are needed by the letter of the poms, and by nothing that we run. */
  readonly without?: readonly string[]
}

/** The folder of the jars; fetched once, from Maven Central. */
export function fetchJars({ name, what, artifacts, without = [] }: Jars, say: (line: string) => void): string {
  provide([JAVA], say)
  const home = cacheFolder(name)
  const lib = join(home, 'lib')
  if (existsSync(lib)) return lib
  provide([MAVEN], say)
  say(`fetching ${what} …`)
  const work = `${home}.${process.pid}.tmp`
  mkdirSync(work, { recursive: true })
  const dependencies = artifacts.map((artifact) => {
    const [group, id, version] = artifact.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${id}</artifactId><version>${version}</version></dependency>`
  })
  writeFileSync(
    join(work, 'pom.xml'),
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>millrace</groupId><artifactId>${name}</artifactId><version>1</version><packaging>pom</packaging><dependencies>
${dependencies.join('\n')}
</dependencies></project>
`,
  )
  try {
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${join(work, 'lib')}`]
    if (without.length > 0) goal.push(`-DexcludeArtifactIds=${without.join(',')}`)
    execFileSync('mvn', ['-q', '-B', '-f', join(work, 'pom.xml'), ...goal], { stdio: ['ignore', 'pipe', 'pipe'] })
    mkdirSync(home, { recursive: true })
    // Another process may have been faster.
    if (!existsSync(lib)) renameSync(join(work, 'lib'), lib)
    return lib
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
