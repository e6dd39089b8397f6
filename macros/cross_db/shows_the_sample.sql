{#-
  Whether the events are those of seeds/sample. DuckDB's connection comes with tools/raw_files.py, which shows them
  where RAW_DATA is not set; on a server the raw tables are what somebody loads into it, whatever RAW_DATA says.
-#}
{% macro shows_the_sample() %}{{ return(adapter.dispatch('shows_the_sample', 'user_segments')()) }}{% endmacro %}

{% macro default__shows_the_sample() %}
    {{ return(not env_var('RAW_DATA', '')) }}
{% endmacro %}
