/** The package brings no types. */
declare module 'unbzip2-stream' {
  function unbzip2(): NodeJS.ReadWriteStream
  // biome-ignore lint/style/noDefaultExport: it is what the package has.
  export default unbzip2
}
