import { isPromise } from 'node:util/types'
import { MillraceError } from '../core/errors.ts'
import { createOperator, type Operator, type OperatorOptions } from '../core/operator.ts'
import { emittedNothing } from '../core/steps.ts'

/** A validator that follows the Standard Schema interface, version 1 (standardschema.dev): zod, valibot, arktype and others do. */
export interface StandardSchema<In = unknown, Out = In> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>
    readonly types?: { readonly input: In; readonly output: Out } | undefined
  }
}

type SchemaResult<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly PathPart[] | undefined }[] }

type PathPart = PropertyKey | { readonly key: PropertyKey }

/**
 * Keeps the values that satisfy a schema, as the schema gives them (parsed, coerced, with defaults).
 *
 * Value → validated value, one to one or none, order kept. Stateless. In batch: where it stands. A value that does not satisfy it is
 * by `onError` the end of the run (the default), skipped and counted, or a dead letter: `MLR_ERR_SCHEMA` with the first issues. The
 * schema must be synchronous; inside a stage nothing waits.
 *
 * @example
 * ```ts
 * const positive = { '~standard': { version: 1, vendor: 'mine', validate: (value: unknown) =>
 *   typeof value === 'number' && value > 0 ? { value } : { issues: [{ message: 'must be positive' }] } } } as const
 * const good = from(memory([1, -1])).pipe(validate(positive, { onError: 'skip' })) // 1
 * ```
 */
export function validate<Out>(
  schema: StandardSchema<unknown, Out>,
  options: OperatorOptions = {},
): Operator<unknown, Out> {
  const standard = schema?.['~standard']
  if (typeof standard?.validate !== 'function') {
    throw new MillraceError(
      'MLR_ERR_PLAN',
      "validate takes a Standard Schema: an object with '~standard', as zod, valibot and arktype give",
    )
  }
  return createOperator<unknown, Out>({
    kind: 'stateless',
    label: `validate(${standard.vendor})`,
    ...options,
    open: (emit, context) => ({
      process: (value) => {
        let out: Out
        try {
          const result = standard.validate(value)
          if (isPromise(result))
            throw new MillraceError('MLR_ERR_SCHEMA', 'the schema is asynchronous — validate in mapAsync')
          if (result.issues !== undefined) throw new MillraceError('MLR_ERR_SCHEMA', describeIssues(result.issues))
          out = result.value
        } catch (error) {
          context.reject(error, value)
          return
        }
        if (out === null || out === undefined) context.reject(emittedNothing(out as null | undefined), value)
        else emit(out)
      },
    }),
  })
}

function describeIssues(
  issues: readonly { readonly message: string; readonly path?: readonly PathPart[] | undefined }[],
): string {
  const shown = issues.slice(0, 3).map(({ message, path }) => {
    const at = (path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
    return at === '' ? message : `${at}: ${message}`
  })
  return `${shown.join('; ')}${issues.length > 3 ? `; and ${issues.length - 3} more` : ''}`
}
