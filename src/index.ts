export { collect } from './aggregates/collect.ts'
export { count } from './aggregates/count.ts'
export { countDistinct } from './aggregates/count-distinct.ts'
export { earliest } from './aggregates/earliest.ts'
export { fields } from './aggregates/fields.ts'
export { latest } from './aggregates/latest.ts'
export { max } from './aggregates/max.ts'
export { maxBy } from './aggregates/max-by.ts'
export { type MeanAccumulator, mean } from './aggregates/mean.ts'
export { min } from './aggregates/min.ts'
export { minBy } from './aggregates/min-by.ts'
export { sum } from './aggregates/sum.ts'
export { top } from './aggregates/top.ts'
export type { Aggregate } from './core/aggregate.ts'
export { ERRORS, type ErrorCode, MillraceError } from './core/errors.ts'
export type { Key, Keyed } from './core/key.ts'
export type {
  Emit,
  OnError,
  Operator,
  OperatorContext,
  OperatorKind,
  OperatorOptions,
  Piped,
  Processor,
} from './core/operator.ts'
export type { LinePosition, RecordInfo } from './core/record.ts'
export { combiner, mapper, reducer } from './embed.ts'
export {
  clicks,
  type FileSinkOptions,
  file,
  type HdfsOptions,
  hdfs,
  type KafkaOptions,
  kafka,
  type LineSourceOptions,
  memory,
  mongo,
  sqlite,
  stdin,
  stdout,
  type TextSinkOptions,
} from './ends.ts'
export type { FormatName, TextFormat } from './formats/format.ts'
export { aggregate, type Row } from './operators/aggregate.ts'
export { type AsyncCall, type MapAsyncOptions, mapAsync } from './operators/boundaries/map-async.ts'
export { through } from './operators/boundaries/through.ts'
export { filter } from './operators/filter.ts'
export { flatMap } from './operators/flat-map.ts'
export { formatJson } from './operators/format-json.ts'
export { type FormatTsvOptions, formatTsv } from './operators/format-tsv.ts'
export { keyBy } from './operators/key-by.ts'
export { lines } from './operators/lines.ts'
export { map } from './operators/map.ts'
export { type OperatorInit, operator } from './operators/operator.ts'
export { type ParseJsonOptions, parseJson } from './operators/parse-json.ts'
export { reduce } from './operators/reduce.ts'
export { type StatefulContext, type StatefulInit, stateful, type ValueState } from './operators/stateful.ts'
export { tap } from './operators/tap.ts'
export { type StandardSchema, validate } from './operators/validate.ts'
export { type Flow, from, type Pipeline, pipeline, type Stream, union } from './plan/pipeline.ts'
export { execute, type RunOptions, run } from './run.ts'
export type { RunReport } from './runtime/report.ts'
export { toDuplex } from './runtime/to-duplex.ts'
export type { Rotation } from './sinks/event-files.ts'
export type { MongoSinkOptions } from './sinks/mongo.ts'
export type {
  Cut,
  Lineage,
  Output,
  RowChange,
  Sink,
  SinkDefinition,
  SinkWriter,
  Takeover,
  TaskSink,
  TaskSinkOptions,
  Version,
} from './sinks/sink.ts'
export type { SqliteIndex, SqliteOptions } from './sinks/sqlite-table.ts'
export type { ClicksOptions } from './sources/clicks.ts'
export type { Source, SourceDefinition, SourceOptions, SourceReader } from './sources/source.ts'
